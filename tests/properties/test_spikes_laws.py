"""Spikes, however counts arrive: batches, order, repeats, corrections and a restart with an alert open change nothing that is told."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from random import Random

import numpy as np
import polars as pl
import pytest

from pipeline.spike_rules import SpikeRules
from pipeline.spikes import SpikesFold
from tests.count_rows import MONDAY_MS, CountedShop, Shock, heard_rows, watermarks

HOUR_MS = 3_600_000
BEGUN, ENDED = [], []
FOLD = SpikesFold(SpikeRules(history=timedelta(days=1), false_discoveries=1e-4))
SHOCK_MS = MONDAY_MS + 46 * HOUR_MS
HOURS = 64
BEFORE = 44
"""Hours of which the state is the same for all: none of them is told of."""
LATEST_MS = MONDAY_MS + (HOURS + 2) * HOUR_MS


@pytest.fixture(scope="module")
def intervals() -> Sequence[tuple[int, pl.DataFrame]]:
    """Abandonment at the payment is five times as much for eight hours, on mobiles; and a signal fires four times as often."""
    until = SHOCK_MS + 8 * HOUR_MS
    shocks = [Shock("payment", 5.0, SHOCK_MS, until, device="mobile"), Shock("form_error_loop", 4.0, SHOCK_MS, until)]
    shop = CountedShop(5, visits=200_000, interval_s=3_600, shocks=shocks, measures=("sessions", "began", "abandoned", "signals"))
    hours = [(at, heard_rows(rows)) for at, rows in shop.rows(HOURS)]
    before, said = pl.concat([rows for _, rows in hours[:BEFORE]]), []
    state = FOLD.empty()
    for batch, till_ms in ((before, -1), (before.clear(), hours[BEFORE][0])):
        done = FOLD.step(state, batch, watermarks(till_ms))
        state, said = done.state, [*said, *done.tables]
    assert not said
    BEGUN.append(state)
    return hours[BEFORE:]


@pytest.fixture(scope="module")
def told(intervals):
    """An interval a step."""
    found = shown(run(((rows, at + HOUR_MS) for at, rows in intervals), lambda state: ENDED.append(state) or state))
    assert {(row["rule"], row["status"]) for row in found} == {("abandonment", "resolved"), ("friction", "resolved")}
    return found


def run(steps: Iterator[tuple[pl.DataFrame, int]], between=lambda state: state) -> list[pl.DataFrame]:
    """What is said of these batches, each with the time after it."""
    state, said = BEGUN[-1], []
    for rows, till_ms in [*steps, (heard_rows([]), LATEST_MS)]:
        for batch, at_ms in ((rows, None), (rows.clear(), till_ms)):  # first the rows, then the time
            marks = watermarks(-1) if at_ms is None else watermarks(at_ms)
            done = FOLD.step(state, batch, marks)
            state = between(done.state)
            said += list(done.tables.values())
    return said


def shown(said: Sequence[pl.DataFrame]) -> list[dict[str, object]]:
    """The newest row of each alert."""
    return pl.concat(said).unique("alert_id", keep="last", maintain_order=True).sort("alert_id").to_dicts()


def kept(state) -> dict[str, pl.DataFrame]:
    return {piece.name: pl.DataFrame(pl.from_arrow(piece.frame().to_arrow())) for piece in state.pieces(0)}


def test_how_counts_are_cut_into_batches_changes_nothing(intervals, told):
    rng = Random(1)
    steps = []
    left = list(intervals)
    while left:
        n = rng.choice((1, 2, 7, 20))
        some, left = left[:n], left[n:]
        rows = pl.concat([part for _, part in some])
        cut = rng.randrange(rows.height)
        steps += [(rows[:cut], some[0][0]), (rows[cut:], some[-1][0] + HOUR_MS)]

    assert shown(run(iter(steps))) == told


def test_all_intervals_at_once_say_and_leave_what_one_after_the_other_do(intervals, told):
    states = []
    all_rows = pl.concat([rows for _, rows in intervals])
    assert shown(run(iter([(all_rows, LATEST_MS)]), lambda state: states.append(state) or state)) == told

    stepwise, at_once = (some[-1].parts[0].series for some in (ENDED, states))
    assert stepwise.keys() == at_once.keys()
    for family, its in stepwise.items():
        assert its.known.equals(at_once[family].known)
        assert all(
            np.array_equal(part, at_once[family].its[name], equal_nan=part.dtype.kind == "f") for name, part in its.its.items()
        )


def test_order_sources_and_repeats_change_nothing(intervals, told):
    def steps():
        before = heard_rows([])
        for at, rows in intervals:
            some = rows.with_columns(pl.col("n") // 3, pl.lit(1, pl.UInt32).alias("source_partition"))
            both = pl.concat([rows.with_columns(pl.col("n") - pl.col("n") // 3), some])
            again = before.sample(fraction=0.5, seed=1)
            yield pl.concat([both.sample(fraction=1.0, shuffle=True, seed=at // HOUR_MS), again]), at + HOUR_MS
            before = both

    assert shown(run(steps())) == told


def test_a_correction_replaces_what_was_counted_and_what_is_older_does_not(intervals, told):
    def steps():
        for at, rows in intervals:
            first = rows.with_columns(pl.col("n") * 3 // 4, pl.lit(1, pl.Int64).alias("version"))
            newest = rows.with_columns(pl.lit(7, pl.Int64).alias("version"))
            yield pl.concat([first[::2], newest]), at
            yield first, at + HOUR_MS

    assert shown(run(steps())) == told


def test_a_restored_state_goes_on_and_only_pieces_with_new_names_need_be_kept(intervals, told):
    written: dict[str, pl.DataFrame] = {}
    rng = Random(2)

    def between(state):
        names = {piece.name: piece for piece in state.pieces(0)}
        for name in [name for name in written if name not in names]:
            del written[name]
        for name, piece in names.items():
            if name not in written:
                written[name] = piece.frame()
        if rng.random() > 0.1:
            return state
        restored = FOLD.empty().restored(0, {name: written[name] for name in names})
        written.clear()  # names are of a state
        return restored

    assert shown(run(((rows, at + HOUR_MS) for at, rows in intervals), between)) == told


def test_of_what_was_said_after_a_checkpoint_what_is_true_is_said_again(intervals):
    """A worker dies with an alert open: whoever goes on from its checkpoint neither opens it again nor loses that it is resolved."""
    for lost_from in (SHOCK_MS + 5 * HOUR_MS, SHOCK_MS + 7 * HOUR_MS, SHOCK_MS + 14 * HOUR_MS):
        before = [(rows, at + HOUR_MS) for at, rows in intervals if at < lost_from]
        states = []
        said = run(iter(before[:-1]), lambda state, states=states: states.append(state) or state)
        checkpoint = FOLD.empty().restored(0, kept(states[-3]))  # before the last time went on
        after = pl.concat([pl.DataFrame(schema=said[0].schema), *said]) if said else None
        assert after is not None, lost_from

        again = FOLD.told_again(checkpoint, 0, {"alerts": after})

        known = {alert.alert_id for alert in checkpoint.parts[0].alerts}
        assert set(again["alerts"]["alert_id"].to_list()) == known & set(after["alert_id"].to_list())
        assert again["alerts"].columns == after.columns
