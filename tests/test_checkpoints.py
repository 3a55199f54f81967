from datetime import UTC, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from agents.checkpoints import Checkpoint, KafkaCheckpoints, StateUnreadable
from agents.log_reader import Record
from agents.manifests import CLAIM_KEY, Manifest, Standing
from agents.topics import MESSAGE_BYTES
from tests.memory_log import MemoryLog

FRAMES = {
    "parts": pl.DataFrame(
        {
            "visitor": ["ann", None],
            "at": [datetime(2026, 3, 2, tzinfo=UTC), None],
            "key": pl.Series([2**64 - 1, 0], dtype=pl.UInt64),
            "payload": [b"\xff", b""],
            "steps": [["a", "b"], []],
        }
    ).cast({"at": pl.Datetime("ms", "UTC")}),
    "ids": pl.DataFrame(schema={"id": pl.UInt64, "at": pl.Int64}),
}
LARGE = {"noise": pl.DataFrame({"at": pl.Series(range(400_000)).hash()})}


@pytest.fixture
def log():
    return MemoryLog()


@pytest.fixture
def checkpoints(log):
    return KafkaCheckpoints(log, log, chunks="chunks", manifests="manifests")


def saved(checkpoints, frames, *, seq=0, epoch=None, partition=1):
    epoch = checkpoints.epoch(partition) if epoch is None else epoch
    checkpoints.save([Checkpoint(partition, Manifest(epoch, seq, "cluster", Standing(position=41)), frames)])


def best(checkpoints, partition=1):
    return checkpoints.history(partition, checkpoints.claim(partition)).best


@pytest.mark.parametrize("frames", [FRAMES, LARGE, {}], ids=["every type", "several chunks", "no state"])
def test_state_is_read_back_as_it_was(checkpoints, frames):
    checkpoints.claim(1)
    saved(checkpoints, frames)

    manifest = best(checkpoints)
    loaded = checkpoints.load(1, manifest)

    assert manifest.standing.position == 41
    assert loaded.keys() == frames.keys()
    for name, frame in frames.items():
        assert_frame_equal(loaded[name], frame)


def test_chunks_fit_into_any_broker(checkpoints, log):
    checkpoints.claim(1)
    saved(checkpoints, LARGE)

    sizes = [len(record.value) for record in log.partitions["chunks", 1]]
    assert len(sizes) > 2
    assert max(sizes) <= MESSAGE_BYTES


def test_chunks_are_on_the_broker_before_the_manifest_that_names_them(checkpoints, log):
    checkpoints.claim(1)
    log.trail.clear()
    saved(checkpoints, FRAMES)

    assert log.trail == [("sent", "chunks", 1, "0/0/0"), "flushed", ("sent", "manifests", 1, "manifest/0"), "flushed"]


def test_the_chunks_of_the_manifest_before_go_when_the_next_one_is_on_the_broker(checkpoints, log):
    checkpoints.claim(1)
    saved(checkpoints, FRAMES)
    log.trail.clear()
    saved(checkpoints, FRAMES, seq=1)

    assert log.trail[-2:] == ["flushed", ("sent", "chunks", 1, "tombstone")]
    log.flush()
    log.compact("chunks", 1)
    assert [record.key for record in log.partitions["chunks", 1]] == [b"0/1/0"]


def test_compaction_keeps_what_a_take_over_needs(checkpoints, log):
    checkpoints.claim(1)
    for seq in range(5):
        saved(checkpoints, FRAMES, seq=seq)
    log.flush()
    log.compact("chunks", 1)
    log.compact("manifests", 1)

    assert_frame_equal(checkpoints.load(1, best(checkpoints))["parts"], FRAMES["parts"])


def test_state_that_is_not_as_it_was_written_is_refused(checkpoints, log):
    checkpoints.claim(1)
    saved(checkpoints, LARGE)
    manifest = best(checkpoints)
    del log.partitions["chunks", 1][1]

    with pytest.raises(StateUnreadable, match=r"chunks-1: the state of epoch 0 cannot be read back; missing: .*0/0/1"):
        checkpoints.load(1, manifest)


def test_every_claim_has_a_higher_epoch(checkpoints):
    assert [checkpoints.claim(1) for _ in range(3)] == [0, 1, 2]
    assert checkpoints.epoch(1) == 2
    assert checkpoints.epoch(0) == -1


def test_a_foreign_claim_above_ours_is_seen_with_the_next_checkpoint(checkpoints, log):
    ours = checkpoints.claim(1)
    saved(checkpoints, FRAMES)
    log.send("manifests", 1, b"{}", CLAIM_KEY)
    log.flush()
    assert checkpoints.foreign_claim(1) is None

    saved(checkpoints, FRAMES, seq=1)

    assert checkpoints.foreign_claim(1) > ours


def test_a_claim_of_our_own_settles_a_foreign_one(checkpoints, log):
    checkpoints.claim(1)
    log.send("manifests", 1, b"{}", CLAIM_KEY)
    saved(checkpoints, FRAMES)
    checkpoints.claim(1)
    saved(checkpoints, FRAMES)

    assert checkpoints.foreign_claim(1) is None


def test_what_a_zombie_writes_that_is_no_claim_is_no_foreign_claim(checkpoints, log):
    checkpoints.claim(1)
    log.send("manifests", 1, Manifest(-5, 9, "cluster", Standing(99)).to_json(), b"manifest/-5")
    saved(checkpoints, FRAMES)

    assert checkpoints.foreign_claim(1) is None


def test_epochs_that_are_over_are_forgotten_with_their_chunks(checkpoints, log):
    checkpoints.claim(1)
    saved(checkpoints, FRAMES)
    history = checkpoints.history(1, checkpoints.claim(1))
    saved(checkpoints, FRAMES)
    checkpoints.forget(1, history.manifests)
    log.flush()

    second = checkpoints.epoch(1)
    assert [manifest.epoch for manifest in checkpoints.history(1, checkpoints.claim(1)).manifests] == [second]
    log.compact("chunks", 1)
    assert [record.key for record in log.partitions["chunks", 1]] == [b"%d/0/0" % second]


def test_partitions_are_apart(checkpoints, log):
    checkpoints.claim(1)
    checkpoints.claim(2)
    saved(checkpoints, FRAMES, partition=2)

    assert best(checkpoints, 1) is None
    assert best(checkpoints, 2).standing.position == 41
    assert all(isinstance(record, Record) for record in log.partitions["chunks", 2])
