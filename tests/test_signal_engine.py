from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline import signal_engine
from pipeline.frames import WATERMARKS
from pipeline.signal_engine import LOOKED_BACK_AT, fired, sifted
from pipeline.signal_window import Window, narrow, whole
from pipeline.signals import SIGNALS
from pipeline.signals.form_error_loop import FORM_ERROR_LOOP, refusals, sent
from pipeline.signals.rage_click import RAGE_CLICK, hits
from pipeline.signals.slow_page import SLOW_PAGE, vital
from tests.builders import MONDAY
from tests.signal_frames import SAID, rows_of, window_of

HOUR = timedelta(hours=1)
NOTHING = window_of([])
FOUR = [signal for signal in SIGNALS if signal.name in ("rage_click", "form_error_loop", "slow_page", "page_error")]


def frame(*events):
    """The events as the engine sees them, ids by place."""
    return window_of(rows_of(events))


def judged(kept, fresh, signals):
    """What new events say, where these had been kept."""
    beside = [name for name in fresh.columns if name not in signal_engine.WINDOW]
    kept = sifted(kept.select(fresh.columns), signals).select(*LOOKED_BACK_AT, *beside)
    return signal_engine.judged(kept, sifted(fresh, signals), signals)


def needed(events, watermarks, signals, horizon):
    """Which of these events must be kept, of those that count at all."""
    return signal_engine.needed(sifted(events, signals), watermarks, signals, horizon)


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

    assert ids(sifted(events, [RAGE_CLICK, FORM_ERROR_LOOP, SLOW_PAGE])) == ["e0", "e3", "e5"]
    assert ids(sifted(events, [SLOW_PAGE])) == ["e3"]
    assert ids(sifted(events, [])) == []


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
    had_fired = fired(hers, FOUR)
    assert had_fired.height == 3
    his = window_of(
        [{**row, "event_id": f"bob-{row['event_id']}", "visitor_id": "bob"} for row in rows_of(hits("buy", at_ms=(0, 100, 200)))]
    )

    assert judged(hers, his, FOUR).settled(had_fired).equals(had_fired)
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
        part=pl.lit(7, dtype=pl.UInt64), place=pl.Series([1, 2, 3], dtype=pl.Int16)
    )
    found = judged(clicks[:2], clicks[2:], SIGNALS).fired

    assert found.select("part", "place").rows() == [(7, 3)]
    assert judged(clicks, clicks.clear(), SIGNALS).fired.columns == found.columns == [*SAID, "part", "place"]


def test_rows_tell_the_rule_that_fired():
    clicks = frame(*hits("buy", at_ms=(0, 200, 280)))
    signals = [RAGE_CLICK, RAGE_CLICK.with_profile("openreplay"), RAGE_CLICK.with_rule(clicks=2)]

    found = [fired(clicks, [signal]) for signal in signals]
    assert [row["rule"].item() for row in found] == ["default", "openreplay", "custom"]
    assert {row["weight"].item() for row in found} == {RAGE_CLICK.weight}


@pytest.mark.parametrize(("watermark_ms", "is_needed"), [(3_611_000, True), (3_611_001, False), (None, True)])
def test_an_event_is_needed_as_long_as_one_that_looks_back_at_it_may_come(watermark_ms, is_needed):
    """Something may come from an hour behind the watermark on, and a click is looked back at for eleven seconds."""
    assert needed(frame(*hits("buy", at_ms=(0,))), come(watermark_ms), FOUR, HOUR).tolist() == [is_needed]


def test_events_that_nothing_looks_back_at_are_never_needed():
    events = frame(*vital("LCP", 9_000), {"event_type": "purchase", "at_ms": 0}, {"event_type": "page_view", "at_ms": 0})

    assert not needed(events, come(None), FOUR, HOUR).any()
    assert not needed(frame({"event_type": "reorder_started", "at_ms": 0}), come(None), SIGNALS, HOUR).any(), "its session knows"
    assert not needed(frame(*hits("buy", at_ms=(0,))), come(None), [SLOW_PAGE], HOUR).any()
    assert needed(NOTHING, come(0), SIGNALS, HOUR).tolist() == []


def test_each_partition_has_its_own_time():
    events = frame(*hits("buy", at_ms=(0,)), *hits("buy", at_ms=(0,), partition=2))
    watermarks = pl.concat([come(10**8), come(0).with_columns(partition=pl.lit(2, dtype=pl.Int32))])

    assert signal_engine.keep(sifted(events, SIGNALS), watermarks, SIGNALS, HOUR)["partition"].to_list() == [2]
    assert np.array_equal(needed(events, watermarks, SIGNALS, HOUR), [False, True])


def test_nothing_comes_of_no_signals_and_of_no_events():
    clicks = frame(*hits("buy", at_ms=(0, 200, 400)))

    assert fired(clicks, []).schema == fired(NOTHING, SIGNALS).schema == SAID
    assert judged(clicks, NOTHING, SIGNALS).settled(fired(clicks, SIGNALS)).height == 1
    assert signal_engine.keep(sifted(clicks, SIGNALS), come(0), [], HOUR).is_empty()
    assert needed(NOTHING, come(0), SIGNALS, HOUR).tolist() == []


def test_an_event_counts_for_the_signals_that_read_it_and_for_no_others():
    """A bit each, by place in the table of weights."""
    events = frame(
        *hits("buy", at_ms=(0,)),
        *hits("plus", at_ms=(1,), role="stepper"),
        *vital("LCP", 9_000),
        {"event_type": "custom", "at_ms": 2},
    )
    counted = dict(sifted(events, SIGNALS).select("event_id", "counted").iter_rows())

    names = {event: [signal.name for signal in SIGNALS if mark & int(signal.bit)] for event, mark in counted.items()}
    assert names == {
        "e0": ["rage_click", "error_click", "page_error", "option_flipping"],
        "e1": ["error_click", "page_error", "option_flipping"],
        "e2": ["slow_page"],
    }


def test_events_come_out_of_the_room_that_they_share_as_they_went_in():
    """A click has its element where a search has its query; of a mark only whose it was, and when."""
    events = sifted(
        frame(
            *hits("buy", at_ms=(0,), x_px=7, y_px=9),
            {"event_type": "search", "at_ms": 1, "query": "coat", "n_results": 4},
            *refusals("card", at_s=(1,)),
            {"event_type": "page_view", "at_ms": 2, "page": "/a"},
            {"event_type": "view_item", "at_ms": 3, "page": "/p/1"},
        ),
        SIGNALS,
    ).select(*LOOKED_BACK_AT, "event_id")
    window = narrow(events)
    back = whole(window, events.schema)

    assert isinstance(window, Window)
    assert [frame.height for frame in (window.marks, window.window, window.wide)] == [1, 1, 3]
    others = pl.col("event_type") != "view_item"
    assert_frame_equal(back.filter(others), events.filter(others), check_row_order=False)
    assert back.filter(~others).select("event_type", "event_ms", "page").rows() == [
        ("view_item", events.filter(~others)["event_ms"].item(), None)
    ]
