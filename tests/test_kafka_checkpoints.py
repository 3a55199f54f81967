"""What checkpoints on topics do beyond the contract of all checkpoints: messages that fit, in an order, in a log that is compacted."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from agents.checkpoints import Checkpoint
from agents.kafka_checkpoints import CLAIM_KEY, NEAR, KafkaCheckpoints
from agents.manifests import Manifest, Standing, StateUnreadable
from agents.topics import MESSAGE_BYTES
from pipeline.pieces import Piece
from tests.memory_log import MemoryLog

LARGE = {"noise.0": pl.DataFrame({"at": pl.Series(range(400_000)).hash()})}
SMALL = {"a.0": pl.DataFrame({"n": [0]})}


@pytest.fixture
def log():
    return MemoryLog()


@pytest.fixture
def checkpoints(log):
    return KafkaCheckpoints(log, log, chunks="chunks", manifests="manifests")


def saved(checkpoints, frames, *, seq=0):
    pieces = [Piece(name, lambda frame=frame: frame) for name, frame in frames.items()]
    manifest = Manifest(checkpoints.epoch(1), seq, "cluster", Standing(position=41))
    checkpoints.save([Checkpoint(1, manifest, pieces)])


def loaded(checkpoints):
    return checkpoints.load(1, checkpoints.history(1, checkpoints.claim(1)).best)


def test_chunks_fit_into_any_broker(checkpoints, log):
    checkpoints.claim(1)
    saved(checkpoints, LARGE)

    sizes = [len(record.value) for record in log.partitions["chunks", 1]]
    assert len(sizes) > 2
    assert max(sizes) <= MESSAGE_BYTES


def test_chunks_are_on_the_broker_before_the_manifest_and_old_ones_go_after_it(checkpoints, log):
    checkpoints.claim(1)
    saved(checkpoints, SMALL)
    log.trail.clear()
    saved(checkpoints, {"a.1": SMALL["a.0"]}, seq=1)

    assert log.trail == [
        *(("sent", "chunks", 1, "0/a.1/0"), "flushed", ("sent", "manifests", 1, "manifest/0"), "flushed"),
        ("sent", "chunks", 1, "tombstone"),
    ]


def test_compaction_keeps_what_a_take_over_needs(checkpoints, log):
    """Pieces of all ages, with many records between them that are gone."""
    checkpoints.claim(1)
    old = SMALL | LARGE
    for seq in range(3 * NEAR):
        saved(checkpoints, old | {f"b.{seq}": pl.DataFrame({"n": [seq]})}, seq=seq)
    log.flush()
    for topic in ("chunks", "manifests"):
        log.compact(topic, 1)

    found = loaded(checkpoints)

    assert list(found) == ["a.0", "noise.0", f"b.{3 * NEAR - 1}"]
    assert_frame_equal(found["noise.0"], LARGE["noise.0"])


def test_a_chunk_that_is_gone_is_missed_by_the_name_of_its_piece(checkpoints, log):
    checkpoints.claim(1)
    saved(checkpoints, SMALL | LARGE)
    del log.partitions["chunks", 1][2]

    with pytest.raises(StateUnreadable, match=r"chunks-1: the state cannot be read back: noise\.0: chunks of epoch 0 are not on"):
        loaded(checkpoints)


def test_a_foreign_claim_is_told_apart_from_what_a_zombie_writes(checkpoints, log):
    checkpoints.claim(1)
    log.send("manifests", 1, Manifest(-5, 9, "cluster", Standing(99)).to_json(), b"manifest/-5")
    saved(checkpoints, SMALL)
    assert checkpoints.foreign_claim(1) is None

    log.send("manifests", 1, b"{}", CLAIM_KEY)
    saved(checkpoints, SMALL, seq=1)
    assert checkpoints.foreign_claim(1) == 3
