"""The fold and the oracle, written by two people from one page, say the same."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.journey_map import DEFAULT_JOURNEYS
from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from pipeline.simulator.simulator import Simulator
from tests import oracle
from tests.builders import MONDAY, Event
from tests.strategies import HOUR, MINUTE, RULES, SECOND, Crowd, crowds, holds
from tests.views import ALWAYS_FRESH, FAR, counted, differences, now, told

OTHER_RULES = replace(
    RULES,
    gap=10 * MINUTE,
    retention=2 * HOUR,
    dedup_horizon=90 * MINUTE,
    allowed_lateness=timedelta(0),
    interval=HOUR,
    dimensions=("device", "country", "acquisition_channel"),
    journeys=DEFAULT_JOURNEYS,
    store_events=False,
)
"""The horizon is longer than the gap, and the retention is shorter than the pauses of many."""

HASTY_RULES = replace(RULES, gap=MINUTE, retention=MINUTE, dedup_horizon=SECOND, allowed_lateness=timedelta(0))
"""Sessions leave the state while signals still look back at them."""

SHOWN_AT_ONCE = {**ALWAYS_FRESH, **dict.fromkeys(("steps", "signals", "outcomes", "identities", "events"), ())}
"""What hangs on an open session may be behind in its facts, but not in being there."""


@given(crowds())
def test_the_fold_shows_what_the_oracle_shows(crowd: Crowd):
    assert holds(crowd.log, lambda log: disagreements(log, RULES))


@given(crowds(), st.sampled_from((OTHER_RULES, HASTY_RULES)))
def test_other_rules_are_followed_as_well(crowd: Crowd, rules: SessionRules):
    assert holds(crowd.log, lambda log: disagreements(log, rules))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_simulated_shop_is_told_as_the_oracle_tells_it(seed: int):
    """Visitors as they are: half without session ids, 5% of events late, 2% twice, some of them bots."""
    rules = replace(RULES, journeys=DEFAULT_JOURNEYS)

    assert holds(simulated(seed, n_events=2_000), lambda log: disagreements(log, rules))


def disagreements(log: list[Event], rules: SessionRules) -> list[str]:
    """What is wrong after all has closed, and at the end of the log in what must be right at any time."""
    steps = told(SessionsFold(rules), log, until=FAR)
    closed = oracle.tables(log, rules, dict.fromkeys((record["partition"] for record in log), FAR))
    by_then = differences(now(steps[:-1]), oracle.tables(log, rules), only=SHOWN_AT_ONCE)
    return differences(counted(now(steps)), closed) + [f"before the end: {line}" for line in by_then]


def simulated(seed: int, *, n_events: int) -> list[Event]:
    """A log of simulated shops: four partitions, and every visitor in one of them."""
    simulator, ends = Simulator(seed, MONDAY, visitors_per_day=2_000), dict[int, int]()
    log = []
    for events in simulator.slices(HOUR, n_events=n_events):
        for row in events.to_dicts():
            partition = sum(row["visitor_id"].encode()) % 4
            ends[partition] = ends.get(partition, -1) + 1
            told_of = {name: value for name, value in row.items() if value is not None}
            log.append({**told_of, "partition": partition, "offset": ends[partition], "cut_before": len(log) % 500 == 0})
    return log
