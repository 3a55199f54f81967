"""When the worker stops because a topic has turned to rubbish, and when it does not."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.rubbish_limit import Limited, RubbishLimit, Tally, TopicIsRubbish
from pipeline.decode import Decoded, Records
from pipeline.frames import REJECTS

GOOD, BAD, NEW = b"good", b"bad", b"new"
REASONS = {BAD: "undecodable", NEW: "unknown_type"}


def decode(records):
    rows = [
        {"partition": partition, "offset": offset, "reason": REASONS[value], "detail": "no frame", "payload": value}
        for partition, offset, value in zip(records.partitions, records.offsets, records.values, strict=True)
        if value in REASONS
    ]
    return Decoded(pl.DataFrame(), pl.DataFrame(rows, schema=REJECTS))


def stop(error):
    raise error


def limited(**limit):
    judged = Limited(RubbishLimit(**limit), topic="clicks", stop=stop)
    return lambda records: judged(records.partitions, records.offsets, decode(records).rejects)


def batch(values, first=0, partition=0):
    n = len(values)
    return Records([partition] * n, list(range(first, first + n)), [0] * n, [None] * n, values)


def stops_at(values, cuts=(), **limit):
    """Offset of the record that is one too many, None if all are taken, however they come."""
    judge = limited(**limit)
    borders = sorted({0, *(cut % (len(values) + 1) for cut in cuts), len(values)})
    for begin, end in pairwise(borders):
        try:
            judge(batch(values[begin:end], begin))
        except TopicIsRubbish as told:
            return int(str(told).split("offset ")[1].split(" ")[0])
    return None


def by_the_book(values, max_ratio, window, max_run):
    run = 0
    for at in range(len(values)):
        run = run + 1 if values[at] == BAD else 0
        last = values[max(0, at + 1 - window) : at + 1]
        if run > max_run or (len(last) == window and last.count(BAD) > max_ratio * window):
            return at
    return None


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([GOOD, BAD, NEW]), max_size=60),
    st.lists(st.integers(0, 60), max_size=8),
    st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    st.integers(1, 20),
    st.integers(1, 12),
)
def test_it_stops_where_a_count_by_hand_says_however_records_are_cut(values, cuts, max_ratio, window, max_run):
    limit = {"max_ratio": max_ratio, "window": window, "max_run": max_run}

    assert stops_at(values, cuts, **limit) == by_the_book(values, **limit)


def test_types_that_are_not_known_do_not_count():
    assert stops_at([NEW] * 5_000, max_ratio=0.01, window=10, max_run=1) is None
    assert stops_at([BAD, NEW] * 5_000, max_ratio=1.0, max_run=1) is None


def test_partitions_are_judged_by_themselves():
    judge = limited(max_run=3)

    for partition in range(4):
        judge(batch([BAD] * 3, partition=partition))
    with pytest.raises(TopicIsRubbish, match="offset 3 of partition 2"):
        judge(batch([BAD], 3, partition=2))


def test_records_of_several_partitions_in_one_batch_are_told_apart():
    together = Records([0, 0, 1, 1, 0], [0, 1, 0, 1, 2], [0] * 5, [None] * 5, [BAD, BAD, GOOD, GOOD, BAD])

    with pytest.raises(TopicIsRubbish, match="offset 2 of partition 0"):
        limited(max_run=2)(together)


def test_what_is_read_again_is_not_counted_twice():
    judge = limited(max_run=3)

    for _ in range(5):
        judge(batch([GOOD, BAD, BAD, BAD]))


def test_the_message_says_what_is_wrong_what_was_not_done_and_what_to_do():
    with pytest.raises(TopicIsRubbish) as told:
        limited(max_ratio=0.5, window=10)(batch([GOOD] * 4 + [BAD] * 6))

    said = str(told.value)
    assert "topic clicks has turned to rubbish: the limit is passed at offset 9 of partition 0" in said
    assert "6 of the last 10 records, 0.5 of them allowed (max_ratio)" in said
    assert "undecodable 6; at offset 4: no frame" in said
    assert "Nothing was skipped" in said
    assert "[dead_letters]" in said


def test_nothing_is_no_record_too_many():
    limited(max_run=1)(Records([], [], [], [], []))


@pytest.mark.parametrize("limit", [{"max_ratio": 0.0}, {"max_ratio": 1.1}, {"window": 0}, {"max_run": 0}])
def test_a_limit_that_cannot_be_meant_is_refused(limit):
    with pytest.raises(ValueError, match=next(iter(limit))):
        RubbishLimit(**limit)


def test_the_window_keeps_no_more_than_it_needs():
    tally = Tally(RubbishLimit(window=100))
    for _ in range(10):
        tally.judge(np.zeros(500, np.bool_))

    assert len(tally._recent) == 100
    assert tally._recent.dtype == np.bool_
