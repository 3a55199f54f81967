"""An outage of the payment in a simulated shop, through the fold of visits and its counts: when it is told, and of what."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from rich.console import Console

from agents.replayed_spikes import ReplayedSpikes
from pipeline.events import event_schema
from pipeline.frames import WATERMARKS
from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from pipeline.simulator.scenarios import Scenario, Shock
from pipeline.simulator.simulator import Simulator
from pipeline.spike_rules import SpikeRules
from pipeline.spikes import SpikesFold
from tests.simulated_shop import drawn_seed

OPENED = datetime(2026, 1, 5, tzinfo=UTC)
AFTER_H = 34
"""The outage begins at ten in the morning of the second day."""
OUTAGE = Shock("payment_outage", obstacle="payment_failed", chance=0.75, begins_ms=AFTER_H * 3_600_000, lasts_ms=3 * 3_600_000)


def told(seed: int) -> Iterator[tuple[datetime, dict[str, object]]]:
    """How far time had come, and each row of alerts."""
    shop = Simulator(seed, OPENED, visitors_per_day=20_000, scenario=Scenario("payment_outage", pages=OUTAGE))
    visits, spikes = SessionsFold(SessionRules()), ReplayedSpikes(SpikesFold(SpikeRules(history=timedelta(days=1))))
    state, reached, n = visits.empty(), pl.DataFrame({"partition": [0], "watermark": [None]}, schema=WATERMARKS), 0
    for part in shop.slices(timedelta(minutes=5), n_events=1_400_000):
        offset = pl.int_range(part.height, dtype=pl.Int64).alias("offset") + n
        events = part.select(*event_schema("clickstream").names(), pl.lit(0, pl.Int32).alias("partition"), offset, "record_at")
        n += part.height
        done = visits.step(state, events, reached)
        state, reached = done.state, done.watermarks
        now = reached["watermark"][0]
        for step in spikes.take(done.passed, now, now):
            for rows in step.tables.values():
                yield from ((now, row) for row in rows.iter_rows(named=True))


@pytest.mark.bench
@pytest.mark.timeout(3_000)
def test_an_outage_of_the_payment_is_told_at_the_payment_and_to_its_owner(capsys):
    seed = drawn_seed()
    begins = OPENED + timedelta(hours=AFTER_H)
    before = []
    for now, row in told(seed):
        with capsys.disabled():
            Console(width=200, highlight=False).print(
                f"\nseed {seed}, {(now - begins).total_seconds() / 60:.0f} min: {row['summary']}"
            )
        if now >= begins:
            break
        before.append(row)

    assert not before, "all was well"
    assert (row["rule"], row["signal"], row["step"], row["owner"]) == ("friction", "payment_failed", "payment", "payments")
    assert row["examples"]
    assert now - begins < timedelta(hours=2)
