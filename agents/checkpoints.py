"""Checkpoints: the state of a stage in chunks, its position in manifests. A full copy every time, for now.

What recovery asks of them is `Checkpoints`; `KafkaCheckpoints` keeps them on two compacted topics.

Order, always: what the stage has emitted is on the broker -> chunks -> manifest -> the chunks of the manifest before are dropped.
So a manifest that can be read names chunks that can be read, and rows that have been said.
"""

import hashlib
import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Protocol

import polars as pl

from agents.log_reader import LogBounds, Record
from agents.manifests import CLAIM_KEY, Chunk, History, Manifest, claim_value
from agents.producer import Sent
from agents.topics import MESSAGE_BYTES

log = logging.getLogger(__name__)

Frames = Mapping[str, pl.DataFrame]


class StateUnreadable(RuntimeError):
    """The chunks that a manifest names are not what was written."""


@dataclass(frozen=True)
class Checkpoint:
    """What to keep of one partition: a manifest that names no chunks yet, and the state."""

    partition: int
    manifest: Manifest
    frames: Frames


class Checkpoints(Protocol):
    """Where a stage keeps its state and positions; all calls may block, one thread at a time."""

    def claim(self, partition: int) -> int:
        """Claim a partition; returns the epoch, higher than every one before it."""

    def epoch(self, partition: int) -> int:
        """Return the epoch of our last claim; -1: none by this process."""

    def history(self, partition: int, epoch: int) -> History:
        """Say what was kept before a claim."""

    def load(self, partition: int, manifest: Manifest) -> dict[str, pl.DataFrame]:
        """Read back the state that a manifest names.

        Raises: StateUnreadable - it is not there, or not as it was written
        """

    def save(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Keep these, for good when it returns. What the stage has said before must be on the broker."""

    def foreign_claim(self, partition: int) -> int | None:
        """Epoch of the newest claim that somebody has put above ours; None: none that we know of, as of the last `save`."""

    def forget(self, partition: int, manifests: Iterable[Manifest]) -> None:
        """Drop manifests of epochs that are over, and their chunks."""


class Writing(Protocol):
    """What is asked of the producer (agents.producer.Producer)."""

    def send(self, topic: str, partition: int, value: bytes | None, key: bytes | None = None) -> Sent:
        """Put a message on its way."""

    def flush(self) -> None:
        """Wait until everything sent is on the broker."""


class Reading(Protocol):
    """What is asked of the reader (agents.log_reader.LogReader)."""

    def bounds(self, topic: str, partition: int) -> LogBounds:
        """Say where a log begins and ends; the end may be too low."""

    def end(self, topic: str, partition: int, known: int) -> int:
        """Say where a log really ends, if an end is known that may be too low."""

    def read(self, topic: str, partition: int, first: int, last: int) -> list[Record]:
        """Read all that is left of [first, last]."""


class KafkaCheckpoints:
    """Checkpoints on a chunks topic and a manifests topic, through the stage's producer."""

    def __init__(self, producer: Writing, reader: Reading, *, chunks: str, manifests: str) -> None:
        """Take both clients and the names of the topics, which must exist and be compacted."""
        self._producer, self._reader = producer, reader
        self._chunks, self._manifests = chunks, manifests
        self._newest: dict[int, Manifest] = {}  # partition -> the last one saved
        self._claimed: dict[int, int] = {}  # partition -> our epoch
        self._seen: dict[int, int] = {}  # partition -> every record of the manifests up to here is ours or has been looked at
        self._foreign: dict[int, int] = {}  # partition -> a claim above ours

    def claim(self, partition: int) -> int:
        """Claim a partition."""
        sent = self._producer.send(self._manifests, partition, claim_value(), CLAIM_KEY)
        self._producer.flush()
        self._claimed[partition] = self._seen[partition] = sent.offset
        self._newest.pop(partition, None)
        self._foreign.pop(partition, None)
        return sent.offset

    def epoch(self, partition: int) -> int:
        """Return the epoch of our last claim."""
        return self._claimed.get(partition, -1)

    def history(self, partition: int, epoch: int) -> History:
        """Read the manifests up to our claim: until it is seen, all before it has been."""
        first = self._reader.bounds(self._manifests, partition).first
        return History.of(self._reader.read(self._manifests, partition, first, epoch), below=epoch)

    def load(self, partition: int, manifest: Manifest) -> dict[str, pl.DataFrame]:
        """Read the chunks by their offsets: it costs the size of the state, not the length of the topic."""
        wanted = {chunk.offset: chunk.key.encode() for chunk in manifest.chunks}
        found: dict[int, bytes] = {}
        for first, last in _ranges(sorted(wanted)):
            for record in self._reader.read(self._chunks, partition, first, last):
                if wanted.get(record.offset) == record.key and record.value is not None:
                    found[record.offset] = record.value
        state = b"".join(found.get(chunk.offset, b"") for chunk in manifest.chunks)
        if hashlib.sha256(state).hexdigest() != manifest.sha256:
            missing = [chunk.key for chunk in manifest.chunks if chunk.offset not in found]
            message = f"{self._chunks}-{partition}: the state of epoch {manifest.epoch} cannot be read back; missing: {missing or 'nothing'}"
            raise StateUnreadable(message)
        return from_bytes(state, manifest.frames)

    def save(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Write chunks, then manifests, then drop the chunks that the manifests before named."""
        pieces: list[tuple[Checkpoint, Manifest, list[tuple[str, Sent]]]] = []
        for checkpoint in checkpoints:
            manifest, partition = checkpoint.manifest, checkpoint.partition
            state, frames = to_bytes(checkpoint.frames)
            manifest = replace(manifest, frames=frames, sha256=hashlib.sha256(state).hexdigest())
            sent = []
            for number, start in enumerate(range(0, len(state), MESSAGE_BYTES)):
                key = f"{manifest.epoch}/{manifest.seq}/{number}"
                piece = state[start : start + MESSAGE_BYTES]
                sent.append((key, self._producer.send(self._chunks, partition, piece, key.encode())))
            pieces.append((checkpoint, manifest, sent))
        self._producer.flush()
        written: list[tuple[int, Manifest, Sent]] = []
        for checkpoint, manifest, sent in pieces:
            complete = replace(manifest, chunks=tuple(Chunk(key, at.offset) for key, at in sent))
            at = self._producer.send(self._manifests, checkpoint.partition, complete.to_json(), complete.key)
            written.append((checkpoint.partition, complete, at))
        self._producer.flush()
        for partition, manifest, at in written:
            before = self._newest.get(partition)
            self._newest[partition] = manifest
            if before is not None:
                self._drop_chunks(partition, before)
            self._look_below(partition, at.offset)

    def foreign_claim(self, partition: int) -> int | None:
        """Tell of a claim above ours."""
        return self._foreign.get(partition)

    def forget(self, partition: int, manifests: Iterable[Manifest]) -> None:
        """Delete them; the broker does so when it compacts."""
        for manifest in manifests:
            self._producer.send(self._manifests, partition, None, manifest.key)
            self._drop_chunks(partition, manifest)

    def _drop_chunks(self, partition: int, manifest: Manifest) -> None:
        for chunk in manifest.chunks:
            self._producer.send(self._chunks, partition, None, chunk.key.encode())

    def _look_below(self, partition: int, ours: int) -> None:
        """Look for claims among what stands between our last record and the one just written there; mostly nothing does."""
        for record in self._reader.read(self._manifests, partition, self._seen[partition] + 1, ours - 1):
            if record.key == CLAIM_KEY:
                log.warning("%s-%d: claimed by somebody else: %s", self._manifests, partition, record.value)
                self._foreign[partition] = record.offset
        self._seen[partition] = ours


def to_bytes(frames: Frames) -> tuple[bytes, tuple[tuple[str, int], ...]]:
    """Frames as Arrow IPC streams, one after the other, with their names and lengths."""
    parts = []
    for name, frame in frames.items():
        buffer = io.BytesIO()
        frame.write_ipc_stream(buffer, compression="lz4")
        parts.append((name, buffer.getvalue()))
    return b"".join(part for _, part in parts), tuple((name, len(part)) for name, part in parts)


def from_bytes(state: bytes, frames: Iterable[tuple[str, int]]) -> dict[str, pl.DataFrame]:
    """Frames by name, out of what `to_bytes` made."""
    found, at = {}, 0
    for name, size in frames:
        found[name] = pl.read_ipc_stream(state[at : at + size])
        at += size
    return found


def _ranges(offsets: list[int]) -> list[tuple[int, int]]:
    """Ascending offsets as ranges [first, last] without gaps."""
    runs = [[at for _, at in run] for _, run in groupby(enumerate(offsets), key=lambda pair: pair[1] - pair[0])]
    return [(run[0], run[-1]) for run in runs]
