"""What was decoded ahead is used for the very runs that it was made of, and for nothing else."""

from functools import partial

import pytest
from confluent_kafka import Message
from polars.testing import assert_frame_equal

from agents.decoding import Decoding, as_records
from agents.runs import Run
from pipeline.decode import Bounds, decode
from tests.test_decode import smallest
from tests.wire import WRITERS, value

DECODE = partial(decode, family="clickstream", writers=WRITERS, bounds=Bounds())


def run(n, *, after=-1, bad=False):
    made = Run(after=after, seeks=0)
    values = [value(smallest("clickstream", event_id=f"e{after + 1 + at}"), "clickstream") for at in range(n)]
    values[-1:] = [b"rubbish"] if bad else values[-1:]
    made.add([Message(topic="clicks", partition=0, offset=after + 1 + at, value=each) for at, each in enumerate(values)])
    return made


@pytest.fixture
def asked():
    return []


@pytest.fixture
def decoding(asked):
    def counted(records):
        asked.append(len(records))
        return DECODE(records)

    return Decoding(counted)


def assert_all_of(found, runs):
    whole = DECODE(as_records(runs))
    assert_frame_equal(found.events, whole.events)
    assert_frame_equal(found.rejects, whole.rejects)
    assert found.n_slow == whole.n_slow


def test_what_was_prepared_is_not_decoded_again(decoding, asked):
    runs = [run(3, bad=True), run(2, after=2)]
    decoding.prepare(runs)

    assert_all_of(decoding.decoded(runs), runs)
    assert asked == [5]


def test_what_came_meanwhile_is_decoded_as_well(decoding, asked):
    runs = [run(3, bad=True), run(2, after=2, bad=True)]
    decoding.prepare(runs[:1])

    assert_all_of(decoding.decoded(runs), runs)
    assert asked == [3, 2]


def test_what_arrives_bit_by_bit_is_decoded_bit_by_bit_and_what_is_for_later_stays(decoding, asked):
    runs = [run(3, bad=True), run(2, after=2), run(4, after=4)]
    for n in (1, 2, 3):
        decoding.prepare(runs[:n])

    assert_all_of(decoding.decoded(runs[:2]), runs[:2])
    assert_all_of(decoding.decoded(runs[2:]), runs[2:])
    assert asked == [3, 2, 4]


def test_what_was_prepared_of_other_runs_is_worth_nothing(decoding, asked):
    runs, same = [run(3)], [run(3)]
    decoding.prepare(runs)

    assert_all_of(decoding.decoded(same), same)
    decoding.prepare([*runs, *same])
    assert_all_of(decoding.decoded(runs), runs)
    assert asked == [3, 3, 6, 3]


def test_it_is_used_once(decoding, asked):
    runs = [run(1)]
    decoding.prepare(runs)
    decoding.decoded(runs)
    decoding.decoded(runs)

    assert asked == [1, 1]
