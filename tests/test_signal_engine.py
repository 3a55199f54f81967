from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from pipeline.frames import WATERMARKS
from pipeline.signal_engine import fired, judged, keep, needed, relevant
from pipeline.signals import SIGNALS
from pipeline.signals.form_error_loop import FORM_ERROR_LOOP, refusals, sent
from pipeline.signals.rage_click import RAGE_CLICK, hits
from pipeline.signals.slow_page import SLOW_PAGE, vital
from tests.builders import MONDAY
from tests.signal_frames import EVENTS, SAID, rows_of, window_of

HOUR = timedelta(hours=1)
NOTHING = window_of([])


def frame(*events):
    """The events as the engine sees them, ids by place."""
    return window_of(rows_of(events))


def ids(found):
    """The events at which something fired."""
    return found["event_id"].to_list()


def come(at_ms):
    """How far time has come: so many milliseconds after the start of the day; None: nothing was read."""
    reached = None if at_ms is None else MONDAY + timedelta(milliseconds=at_ms)
    return pl.DataFrame({"partition": [0], "watermark": [reached]}, schema=WATERMARKS)


def test_events_that_no_signal_reads_are_not_relevant():
    events = frame(
        *hits("buy", at_ms=(0,)),
        {"event_type": "page_view", "at_ms": 1},
        *hits("plus", at_ms=(2,), role="stepper"),
        *vital("LCP", 9_000),
        *vital("LCP", 900),
        *refusals("card", at_s=(1,)),
        *refusals(None, at_s=(1,)),
    )

    assert ids(events.filter(relevant(SIGNALS))) == ["e0", "e3", "e5"]
    assert ids(events.filter(relevant([SLOW_PAGE]))) == ["e3"]
    assert ids(events.filter(relevant([]))) == []


def test_a_run_may_lie_in_two_batches():
    clicks = frame(*hits("buy", at_ms=(0, 200, 400)))

    assert ids(judged(clicks[:2], clicks[2:], SIGNALS).fired) == ["e2"]
    assert ids(judged(NOTHING, clicks[2:], SIGNALS).fired) == []


def test_what_lies_exactly_a_look_back_away_is_still_seen():
    clicks = frame(*hits("buy", at_ms=(0, 1_000, 1_000, 2_000)))

    assert ids(judged(clicks[:3], clicks[3:], [RAGE_CLICK]).fired) == []


def test_a_late_event_makes_it_fire_earlier_and_the_old_place_is_given_up():
    clicks = frame(*hits("buy", at_ms=(0, 200, 400, 600)))
    old, late = clicks[[0, 2, 3]], clicks[[1]]
    had_fired = fired(old, [RAGE_CLICK])
    assert ids(had_fired) == ["e3"]

    found = judged(old, late, [RAGE_CLICK])

    assert ids(found.fired) == ["e2"]
    assert ids(found.settled(had_fired)) == []


def test_a_late_submit_takes_a_loop_back():
    events = frame(*refusals("card", at_s=(0, 20, 60)), sent("card", at_s=40))
    had_fired = fired(events[:3], [FORM_ERROR_LOOP])
    assert ids(had_fired) == ["e2"]

    found = judged(events[:3], events[3:], [FORM_ERROR_LOOP])

    assert ids(found.fired) == []
    assert ids(found.settled(had_fired)) == []


def test_what_fired_before_the_first_new_event_is_settled():
    events = frame(*hits("buy", at_ms=(0, 100, 200, 9_000, 9_100, 9_200)))
    had_fired = fired(events[:3], [RAGE_CLICK])

    found = judged(events[:3], events[3:], [RAGE_CLICK])

    assert ids(found.settled(had_fired)) == ["e2"]
    assert ids(found.fired) == ["e5"]
    # It does not even matter that the events of it are gone.
    assert ids(judged(NOTHING, events[3:], [RAGE_CLICK]).fired) == ["e5"]


def test_what_fired_in_the_millisecond_of_a_new_event_is_judged_again():
    events = frame(*hits("buy", at_ms=(0, 100, 200, 200)))
    (last, before) = events[2:].sort("tie", descending=True).get_column("event_id")
    late = events.filter(pl.col("event_id") == before)
    old = events.filter(pl.col("event_id") != before)
    had_fired = fired(old, [RAGE_CLICK])
    assert ids(had_fired) == [last]

    found = judged(old, late, [RAGE_CLICK])

    assert ids(found.fired) == [before]
    assert ids(found.settled(had_fired)) == []


def test_a_visitor_or_signal_without_new_events_is_settled():
    hers = frame(*hits("buy", at_ms=(0, 100, 200)), *refusals("card", at_s=(1, 2, 3)), *vital("LCP", 9_000))
    had_fired = fired(hers, SIGNALS)
    assert had_fired.height == 3
    his = window_of(
        [{**row, "event_id": f"bob-{row['event_id']}", "visitor_id": "bob"} for row in rows_of(hits("buy", at_ms=(0, 100, 200)))]
    )

    assert judged(hers, his, SIGNALS).settled(had_fired).equals(had_fired)
    again = judged(hers, frame(*hits("buy", at_ms=(50,))), [RAGE_CLICK]).settled(had_fired)
    assert sorted(again["signal"]) == ["form_error_loop", "slow_page"]


def test_what_an_event_alone_has_told_is_settled_for_good():
    slow = frame({**vital("LCP", 9_000)[0], "at_ms": 5_000})
    had_fired = fired(slow, [SLOW_PAGE])
    late = window_of([{**row, "event_id": "late"} for row in rows_of(vital("INP", 9_000))])

    found = judged(NOTHING, late, [SLOW_PAGE])

    assert ids(found.fired) == ["late"]
    assert found.settled(had_fired).equals(had_fired)


def test_signals_that_had_fired_may_be_kept_as_categories():
    clicks = frame(*hits("buy", at_ms=(0, 200, 400)))
    had_fired = fired(clicks, SIGNALS).with_columns(pl.col("signal").cast(pl.Categorical))
    late = window_of([{**row, "event_id": "late"} for row in rows_of(hits("buy", at_ms=(100,)))])

    assert judged(clicks, late, SIGNALS).settled(had_fired).is_empty()


def test_further_columns_of_an_event_come_out_with_what_fired_at_it():
    clicks = frame(*hits("buy", at_ms=(0, 200, 400))).with_columns(
        part=pl.lit(7, dtype=pl.UInt64), step=pl.Series([1, 2, 3], dtype=pl.Int16)
    )
    found = judged(clicks[:2], clicks[2:], SIGNALS).fired

    assert found.select("part", "step").rows() == [(7, 3)]
    assert judged(clicks, clicks.clear(), SIGNALS).fired.columns == found.columns == [*SAID, "part", "step"]


def test_rows_tell_the_rule_that_fired():
    clicks = frame(*hits("buy", at_ms=(0, 200, 280)))
    signals = [RAGE_CLICK, RAGE_CLICK.with_profile("openreplay"), RAGE_CLICK.with_rule(clicks=2)]

    assert fired(clicks, signals)["rule"].to_list() == ["default", "openreplay", "custom"]
    assert set(fired(clicks, signals)["weight"]) == {RAGE_CLICK.weight}


@pytest.mark.parametrize(("watermark_ms", "is_needed"), [(3_602_000, True), (3_602_001, False), (None, True)])
def test_an_event_is_needed_as_long_as_one_that_looks_back_at_it_may_come(watermark_ms, is_needed):
    """Something may come from an hour behind the watermark on, and a click is looked back at for two seconds."""
    assert needed(frame(*hits("buy", at_ms=(0,))), come(watermark_ms), SIGNALS, HOUR).tolist() == [is_needed]


def test_events_that_nothing_looks_back_at_are_never_needed():
    events = frame(*vital("LCP", 9_000), {"event_type": "js_error", "at_ms": 0}, {"event_type": "page_view", "at_ms": 0})

    assert not needed(events, come(None), SIGNALS, HOUR).any()
    assert not needed(frame(*hits("buy", at_ms=(0,))), come(None), [SLOW_PAGE], HOUR).any()
    assert needed(NOTHING, come(0), SIGNALS, HOUR).tolist() == []


def test_each_partition_has_its_own_time():
    events = frame(*hits("buy", at_ms=(0,)), *hits("buy", at_ms=(0,), partition=2))
    watermarks = pl.concat([come(10**8), come(0).with_columns(partition=pl.lit(2, dtype=pl.Int32))])

    assert keep(events, watermarks, SIGNALS, HOUR)["partition"].to_list() == [2]
    assert np.array_equal(needed(events, watermarks, SIGNALS, HOUR), [False, True])


def test_nothing_comes_of_no_signals_and_of_no_events():
    clicks = frame(*hits("buy", at_ms=(0, 200, 400)))

    assert fired(clicks, []).schema == fired(NOTHING, SIGNALS).schema == SAID
    assert judged(clicks, NOTHING, SIGNALS).settled(fired(clicks, SIGNALS)).height == 1
    assert keep(clicks, come(0), [], HOUR).is_empty()
    assert keep(NOTHING, come(0), SIGNALS, HOUR).schema == EVENTS
