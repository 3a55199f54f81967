import pytest
from confluent_kafka import Message
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from agents.joining import joined
from agents.runs import Run

CLICKS = TP("clicks", 0)
OTHER = TP("clicks", 1)


def run(after, *offsets, tp=CLICKS, seeks=0):
    made = Run(after=after, seeks=seeks)
    made.add([Message(topic=tp.topic, partition=tp.partition, offset=offset, value=b"v") for offset in offsets])
    return made


def taken(*runs, position=-1, sought=0):
    found = joined(runs, {CLICKS: position}, {CLICKS: sought})
    return [offset for each in found.runs for offset in each.offsets()], found.holes


@pytest.mark.parametrize(
    ("runs", "position", "expected"),
    [
        ([run(-1, 0, 1, 2)], -1, [0, 1, 2]),
        ([run(-1, 0, 1), run(1, 2, 3)], -1, [0, 1, 2, 3]),
        ([run(4, 5, 6)], 4, [5, 6]),
        ([run(3, 4, 5, 6)], 5, [6]),
        ([run(4, 5, 6), run(4, 5, 6, 7)], 4, [5, 6, 7]),
        ([run(4, 5, 6)], 6, []),
        ([run(4, 5, 9)], 4, [5, 9]),
        ([run(4, 9)], 7, [9]),
    ],
    ids=["first", "two in a row", "joins", "overlaps", "repeated", "applied already", "compacted", "position in a gap of the log"],
)
def test_what_joins_the_position_is_taken(runs, position, expected):
    assert taken(*runs, position=position) == (expected, frozenset())


def test_a_run_behind_a_hole_is_not_taken_and_the_hole_is_told():
    assert taken(run(-1, 0, 1), run(3, 4, 5), position=-1) == ([0, 1], {CLICKS})


def test_a_hole_that_was_asked_for_since_is_not_told_again():
    assert taken(run(3, 4, seeks=6), position=1, sought=7) == ([], frozenset())
    assert taken(run(3, 4, seeks=7), position=1, sought=7) == ([], {CLICKS})


def test_a_partition_that_is_not_ours_is_dropped():
    assert taken(run(-1, 0, tp=OTHER)) == ([], frozenset())


def test_a_hole_in_one_partition_does_not_hold_up_another():
    found = joined([run(3, 4), run(-1, 0, tp=OTHER)], {CLICKS: 0, OTHER: -1}, {})

    assert [each.tp for each in found.runs] == [OTHER]
    assert found.holes == {CLICKS}


@given(st.data())
def test_whatever_is_dropped_repeated_or_delayed_what_is_taken_has_no_gap_and_no_repeat(data):
    end = data.draw(st.integers(1, 30))
    spans = data.draw(st.lists(st.tuples(st.integers(0, end), st.integers(1, 8)), max_size=20))
    runs = [run(start - 1, *range(start, start + n)) for start, n in spans]

    offsets, holes = taken(*runs)

    assert offsets == list(range(len(offsets)))
    assert holes or all(run_.last < len(offsets) for run_ in runs)
