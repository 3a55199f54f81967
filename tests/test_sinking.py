import itertools

import polars as pl
import pytest
from confluent_kafka import Message

from agents.arrow_batches import Batch, messages, without_rows
from agents.manifests import Standing
from agents.runs import Run
from agents.sinking import Sinking
from pipeline.about import About, Source

CLICKS_0, CLICKS_1 = Source("sessions", "clickstream", 0), Source("sessions", "clickstream", 1)
START = Standing(position=-1)


class PatientWriter:
    """Writes when the test says so."""

    def __init__(self):
        self.full, self.waiting, self.sites = False, [], []

    def put(self, table, rows, done):
        assert table == "sessions"
        self.sites += rows["site"].to_pylist()
        self.waiting.append(done)


class Bench:
    def __init__(self):
        self.writer, self.stirs, self.offsets = PatientWriter(), [], itertools.count()
        self.sinking = Sinking(self.writer, lambda: self.stirs.append(1))
        self.sinking.restore(0, START, {})

    def reads(self, *values):
        run = Run(after=-1, seeks=0)
        run.add([Message(topic="rows", partition=0, offset=next(self.offsets), value=said) for said in values])
        self.sinking.step([run], {})
        return self

    @property
    def kept(self):
        standing, pieces = self.sinking.checkpoint(0)
        assert list(pieces) == []
        return standing


@pytest.fixture
def bench():
    return Bench()


def said(site, *, source=CLICKS_0, epoch=0):
    (message,) = messages(pl.DataFrame({"site": [site]}), About(source, epoch, 0, None, 1, "sessions"))
    return message


def mark(epoch, source=CLICKS_0):
    return without_rows(About(source, epoch, 0, None, is_marker=True))


def test_batches_of_an_epoch_that_is_over_are_ignored(bench):
    bench.reads(mark(5), said("a", epoch=5), mark(9), said("zombie", epoch=5), said("b", epoch=9))

    assert bench.writer.sites == ["a", "b"]
    assert bench.sinking.fenced == 1


def test_every_source_has_its_own_epoch(bench):
    bench.reads(mark(5), mark(2, CLICKS_1), said("a", epoch=5), said("b", source=CLICKS_1, epoch=2))

    assert bench.writer.sites == ["a", "b"]


def test_a_late_marker_of_a_lower_epoch_changes_nothing(bench):
    bench.reads(mark(9), mark(5), said("zombie", epoch=5), said("a", epoch=9))

    assert bench.writer.sites == ["a"]


def test_the_position_is_what_the_store_has_and_not_what_was_read(bench):
    bench.reads(mark(1), said("a", epoch=1), said("b", epoch=1), said("c", epoch=1))
    a, b, c = bench.writer.waiting
    assert (bench.sinking.positions(), bench.kept.position) == ({0: 3}, 0)

    c()
    b()
    assert bench.kept.position == 0
    a()
    assert bench.kept.position == 3
    assert bench.sinking.is_written


def test_whoever_waits_is_woken_when_the_store_has_taken_something(bench):
    bench.reads(said("a"))
    bench.writer.waiting[0]()

    assert bench.stirs == [1]


def test_it_has_room_as_long_as_the_writer_has(bench):
    assert bench.sinking.has_room
    bench.writer.full = True
    assert not bench.sinking.has_room


def test_after_a_restart_epochs_are_known_as_of_the_position(bench):
    """What lies between the position and a marker is read again, and was said when its epoch was the newest."""
    bench.reads(mark(5), said("a", epoch=5), said("b", epoch=5), mark(9), said("c", epoch=9))
    bench.writer.waiting[0]()

    after = Bench()
    after.sinking.restore(0, bench.kept, {})
    after.reads(said("b", epoch=5), mark(9), said("zombie", epoch=5), said("c", epoch=9), said("zombie", epoch=1))

    assert after.writer.sites == ["b", "c"]


def test_a_marker_passed_by_the_position_is_kept(bench):
    bench.reads(mark(5), mark(9), said("a", epoch=9))
    bench.writer.waiting[0]()

    after = Bench()
    after.sinking.restore(0, bench.kept, {})
    after.reads(said("zombie", epoch=5))

    assert after.writer.sites == []


def test_a_partition_is_dirty_until_what_the_store_has_is_kept(bench):
    assert bench.sinking.dirty == {0}
    bench.sinking.checkpoint(0)
    bench.sinking.saved(0)
    assert bench.sinking.dirty == frozenset()

    bench.reads(said("a"))
    assert bench.sinking.dirty == frozenset()
    bench.writer.waiting[0]()
    assert bench.sinking.dirty == {0}


OTHERS_TABLE = next(messages(pl.DataFrame({"site": ["x"]}), About(CLICKS_0, 0, 0, None, 1, "no_table")))


@pytest.mark.parametrize("message", [b"what is this", said("x")[:-60], OTHERS_TABLE], ids=["foreign", "cut", "of no table"])
def test_a_message_that_cannot_be_stored_does_not_stop_the_sink(bench, message):
    bench.reads(message, said("a"))

    assert bench.writer.sites == ["a"]
    assert bench.sinking.unreadable == 1


def test_what_the_writer_finishes_of_a_partition_given_up_changes_nothing(bench):
    bench.reads(said("a"))
    bench.sinking.give_up(0)
    bench.writer.waiting[0]()

    assert bench.sinking.positions() == {}
    assert bench.sinking.dirty == frozenset()


def test_the_rows_are_handed_over_with_their_version(bench):
    bench.writer.put = lambda _table, rows, _done: bench.writer.sites.append(rows.column_names)
    bench.reads(said("a"))

    assert bench.writer.sites == [["site", "version"]]
    assert Batch(said("a")).about.version == 1
