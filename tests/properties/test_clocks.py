"""Clocks that are wrong, by minutes or by days: their events are corrected, or dead letters, and nobody else's are late for it."""

from collections import Counter
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.checks import Bounds
from pipeline.decode import Records, decode
from pipeline.fold import Step
from pipeline.sessions import SessionsFold
from tests import wire
from tests.builders import MONDAY, watermarks
from tests.strategies import RULES
from tests.views import FAR

FOLD = SessionsFold(RULES)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
OFF = {
    "days ahead": 3 * DAY,
    "an hour ahead": timedelta(hours=1),
    "a little ahead": 9 * MINUTE,
    "a little behind": -30 * MINUTE,
    "hours behind": timedelta(hours=-5),
    "days behind": -4 * DAY,
    "never set": -20_000 * DAY,
}
"""How far the clock of a device is off."""

FATE = {
    "days ahead": "from_the_future",
    "an hour ahead": "from_the_future",
    "a little ahead": "applied",
    "a little behind": "applied",
    "hours behind": "too_late",
    "days behind": "too_late",
    "never set": "before_min_event_at",
}
"""What becomes of an event of such a clock that does not say when it was sent."""


def clicks(dice, n):
    """Honest events of the wire: (record time, event)."""
    for number in range(n):
        at = MONDAY + number * 5 * SECOND
        yield at + dice.uniform(0, 3) * SECOND, {"event_id": f"h{number}", "visitor_id": f"v{number % 17}", "event_at": at}


def strange(dice, n, off, *, says_sent):
    """Events of devices whose clock is off."""
    for number in range(n):
        at = MONDAY + dice.uniform(60, 5 * n) * SECOND
        at -= timedelta(microseconds=at.microsecond % 1_000)
        event = {"event_id": f"s{off}{number}", "visitor_id": f"stranger {off}", "event_at": at + off}
        yield at + 2 * SECOND, event | ({"sent_at": at + off + SECOND} if says_sent else {})


def records_of(arriving):
    """As they lie in one partition."""
    log = sorted(arriving, key=lambda each: each[0])
    base = {"event_type": "page_view", "site": "shop", "page": "/"}
    values = [wire.value(base | event, "clickstream") for _, event in log]
    return Records([0] * len(log), range(len(log)), [round(at.timestamp() * 1_000) for at, _ in log], [None] * len(log), values)


def folded(arriving, pieces):
    """Decode and fold them in so many batches; -> steps, rejects by reason, and the events that went in."""
    records = records_of(arriving)
    state, reached, steps, reasons, events = FOLD.empty(), watermarks({0: None}), [], Counter(), []
    size = -(-len(records) // pieces)
    for begin in range(0, len(records), size):
        decoded = decode(records.slice(begin, begin + size), "clickstream", wire.WRITERS, Bounds())
        step: Step = FOLD.step(state, decoded.events, reached)
        state, reached = step.state, step.watermarks
        steps.append(step)
        events += decoded.events.to_dicts()
        reasons.update([*decoded.rejects["reason"], *step.rejects["reason"]])
    steps.append(FOLD.step(state, decoded.events.clear(), watermarks({0: FAR})))
    fates = Counter()
    for step in steps:
        for _, fate, n, n_late in step.fates.rows():
            fates[fate] += n
            fates["n_late"] += n_late
    return steps, fates, reasons, events


@given(seed=st.integers(0, 2**32), pieces=st.integers(1, 9))
def test_strangers_with_wrong_clocks_make_nobody_else_late(seed, pieces):
    dice = Random(seed)
    honest = list(clicks(dice, 300))
    strangers = [each for off in OFF.values() for each in strange(dice, 10, off, says_sent=dice.random() < 0.5)]

    alone, fates, _, _ = folded(honest, 1)
    _, beside, reasons, events = folded(honest + strangers, pieces)
    both = folded(honest + strangers, pieces)[0]

    assert (fates["applied"], fates["n_late"]) == (300, 0)
    assert sum(beside[fate] for fate in ("applied", "duplicate")) + reasons.total() == 370, "every record has one fate"
    applied = {event["event_id"] for event in events} & {event["event_id"] for _, event in honest}
    assert len(applied) == 300
    assert honest_rows(both) == honest_rows(alone)


def honest_rows(steps):
    """Sessions of those with good clocks, in the end."""
    found = {}
    for step in steps:
        for row in step.tables["sessions"].to_dicts() if "sessions" in step.tables else ():
            if not row["visitor_id"].startswith("stranger"):
                found[row["visitor_id"], row["session_id"]] = row
    return found


@pytest.mark.parametrize("clock", OFF)
def test_an_event_that_says_when_it_was_sent_is_put_right(clock):
    """By record time - sent_at: it took the network one second, and that is all it is wrong by."""
    dice = Random(1)
    log = [*clicks(dice, 100), *strange(dice, 50, OFF[clock], says_sent=True)]

    _, fates, reasons, events = folded(log, 3)

    assert (fates["applied"], reasons.total()) == (150, 0)
    true_at = {event["event_id"]: at - SECOND for at, event in log}
    assert all(event["event_at"] == true_at[event["event_id"]] for event in events if event["event_id"].startswith("s"))


@pytest.mark.parametrize("clock", OFF)
def test_an_event_that_does_not_is_applied_or_a_dead_letter_and_never_lost(clock):
    dice = Random(2)
    log = [*clicks(dice, 100), *strange(dice, 50, OFF[clock], says_sent=False)]

    _, fates, reasons, _ = folded(log, 3)

    assert fates["applied"] + reasons.total() == 150
    if FATE[clock] == "applied":
        assert not reasons
    else:
        assert reasons == {FATE[clock]: 50}
