from dataclasses import replace

import pytest

from agents.checkpoints import Checkpoint
from agents.kafka_checkpoints import KafkaCheckpoints
from agents.log_reader import Record
from agents.manifests import Manifest, Standing
from agents.takeover import Input, PositionRefused, TakeOver
from tests.memory_log import MemoryLog

PARTITIONS = {"clicks": 4, "rows": 2}


class Estate:
    """A stage whose state is its position."""

    def __init__(self, log):
        self.log, self.standing = log, None

    def holds(self, _partition):
        return self.standing is not None

    def restore(self, _partition, standing, _frames):
        self.standing = standing

    def checkpoint(self, _partition):
        return self.standing, ()

    def begin_epoch(self, partition, epoch):
        self.log.send("rows", partition, b"%d" % epoch)

    def settle(self, _partition):
        self.log.trail.append("settled")

    def give_up(self, _partition):
        self.standing = None


@pytest.fixture
def log():
    """Records 10 to 19 of the input are on the broker."""
    log = MemoryLog()
    log.first["clicks", 0] = 10
    log.partitions["clicks", 0] = [Record(offset, None, b"") for offset in range(10, 20)]
    return log


def taking_over(log, inputs_from=None, cluster="here", partitions=PARTITIONS):
    checkpoints = KafkaCheckpoints(log, log, chunks="chunks", manifests="manifests")
    return TakeOver(Input("clicks", cluster, inputs_from, partitions), Estate(log), checkpoints, log, log)


def kept_at(log, position, cluster="here", partitions=PARTITIONS):
    checkpoints = KafkaCheckpoints(log, log, chunks="chunks", manifests="manifests")
    epoch = checkpoints.claim(0)
    checkpoints.save([Checkpoint(0, Manifest(epoch, 0, cluster, Standing(position), partitions), ())])


def position_after(take_over):
    return take_over.take(0, lambda: True).standing.position


@pytest.mark.parametrize(("inputs_from", "position"), [(None, 9), ("earliest", 9), ("latest", 19)])
def test_a_stage_that_is_new_begins_where_the_log_does_unless_told_otherwise(log, inputs_from, position):
    assert position_after(taking_over(log, inputs_from)) == position


@pytest.mark.parametrize("inputs_from", [None, "earliest", "latest"])
@pytest.mark.parametrize("position", [9, 14, 19])
def test_a_position_whose_next_record_is_there_is_kept_whatever_is_asked(log, position, inputs_from):
    kept_at(log, position)

    assert position_after(taking_over(log, inputs_from)) == position


@pytest.mark.parametrize(
    ("position", "cluster", "says"),
    [
        (7, "here", "clicks-0: records 8 to 9 are not on the broker any more"),
        (20, "here", "clicks-0: the log ends before offset 20 and the checkpoint has read up to 20"),
        (14, "there", "clicks-0: the checkpoint was made on cluster 'there'"),
    ],
)
def test_a_position_whose_next_record_is_not_there_is_refused_and_the_way_out_is_named(log, position, cluster, says):
    kept_at(log, position, cluster)

    with pytest.raises(PositionRefused, match=says) as refused:
        taking_over(log).take(0, lambda: True)

    assert "--inputs-from earliest" in str(refused.value)
    assert "--inputs-from latest" in str(refused.value)


@pytest.mark.parametrize(("inputs_from", "goes_on_after"), [("earliest", 9), ("latest", 19)])
@pytest.mark.parametrize(("position", "cluster"), [(7, "here"), (55, "here"), (14, "there")])
def test_it_goes_on_from_where_it_is_told(log, position, cluster, inputs_from, goes_on_after):
    kept_at(log, position, cluster)

    assert position_after(taking_over(log, inputs_from)) == goes_on_after


def test_a_broker_that_tells_too_low_an_end_is_not_a_log_made_anew(log):
    """The embedded one tells the beginning of the last batch, and 1."""
    kept_at(log, 19)
    bounds = log.bounds
    log.bounds = lambda topic, partition: (
        replace(bounds(topic, partition), end=11) if topic == "clicks" else bounds(topic, partition)
    )

    assert position_after(taking_over(log)) == 19


def test_the_full_copy_is_there_before_the_marker_and_the_old_epoch_goes_after_it(log):
    kept_at(log, 14)
    log.trail.clear()

    taking_over(log).take(0, lambda: True)
    log.flush()

    assert [done for done in log.trail if done != "flushed"] == [
        ("sent", "manifests", 0, "claim"),
        ("sent", "manifests", 0, "manifest/2"),
        ("sent", "rows", 0, ""),
        "settled",
        ("sent", "manifests", 0, "tombstone"),
    ]


def test_who_lost_the_partition_while_it_read_writes_nothing_more(log):
    answers = iter([True, False])

    assert taking_over(log).take(0, lambda: next(answers)) is None

    assert [done[-1] for done in log.trail if done != "flushed"] == ["claim"]
    assert log.partitions["rows", 0] == []


def test_what_the_predecessor_said_is_settled_also_when_a_rebalance_came_between_and_the_partition_stayed_ours(log):
    kept_at(log, 14)
    taking = taking_over(log)
    answers = iter([True, False])
    assert taking.take(0, lambda: next(answers)) is None

    taking.take(0, lambda: True)

    assert log.trail.count("settled") == 1


@pytest.mark.parametrize("inputs_from", [None, "earliest", "latest"])
def test_a_topic_that_has_other_partitions_than_when_the_state_was_kept_is_refused(log, inputs_from):
    """They say in which partition a key is: with another number the state of half of all keys is where nobody looks."""
    kept_at(log, 14)

    with pytest.raises(PositionRefused, match=r"clicks-0: topic clicks has 8 partitions, and had 4 when the state was kept"):
        taking_over(log, inputs_from, partitions={"clicks": 8, "rows": 2}).take(0, lambda: True)


def test_a_topic_that_the_state_knows_nothing_of_may_have_any_number_of_partitions(log):
    kept_at(log, 14)

    assert position_after(taking_over(log, partitions={**PARTITIONS, "new": 7})) == 14
