"""Checkpoints on two compacted topics a stage, each with a partition for every one of its input.

On the *manifests* topic lie claims, whose offset is the epoch: it grows on any broker, also when the consumer group is deleted; and
manifests, one key an epoch, so that compaction cannot keep a zombie's instead of its successor's. On the *chunks* topic lie the pieces, cut
into messages that every broker takes, under keys that say epoch, piece and number: `17/parts.4/0`.

**Delivery:** kept on all replicas when `save` returns. What a crash has left between chunks and manifest is deleted by the next take-over.
"""

import json
import logging
import os
import socket
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import polars as pl

from agents.checkpoints import Checkpoint, Reading, Writing, decoded, encoded, kept_already, unreadable
from agents.log_reader import Record
from agents.logs import about
from agents.manifests import History, KeptPiece, Manifest
from agents.producer import Sent
from agents.topics import MESSAGE_BYTES

log = logging.getLogger(__name__)

CLAIM_KEY = b"claim"
NEAR = 8
"""Reading so many records that nobody wants is faster than to seek."""


class KafkaCheckpoints:
    """Implements checkpoints.Checkpoints, through the stage's producer."""

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
        return history_of(self._reader.read(self._manifests, partition, first, epoch), below=epoch)

    def load(self, partition: int, manifest: Manifest) -> dict[str, pl.DataFrame]:
        """Read the chunks by their offsets: it costs the size of the state, not the length of the topic. No piece is kept as bytes."""
        where = f"{self._chunks}-{partition}"
        wanted = {offset: (piece, number) for piece in manifest.pieces for number, offset in enumerate(piece.offsets)}
        found: dict[str, Future[pl.DataFrame]] = {}
        chunks: dict[int, bytes] = {}  # of one piece: they lie together
        with ThreadPoolExecutor(2, "decode-state") as pool:  # what was read is decoded while more is on its way
            for record in self._records(partition, wanted):
                piece, number = wanted[record.offset]
                chunks[record.offset] = record.value or b""
                if number == len(piece.offsets) - 1:
                    if all(chunks.get(offset) for offset in piece.offsets):
                        found[piece.name] = pool.submit(_joined, piece, [chunks[offset] for offset in piece.offsets], where)
                    chunks.clear()
        missing = [piece.name for piece in manifest.pieces if piece.name not in found]
        if missing:
            raise unreadable(where, missing, f"chunks of epoch {manifest.epoch} are not on the broker any more")
        return {piece.name: found[piece.name].result() for piece in manifest.pieces}

    def save(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Write chunks, then manifests, then drop the chunks that no manifest names any more."""
        sent = [(checkpoint, self._sent(checkpoint)) for checkpoint in checkpoints]
        self._producer.flush()
        written: list[tuple[int, Manifest, Sent]] = []
        for checkpoint, pieces in sent:
            kept = (
                piece if chunks is None else replace(piece, offsets=tuple(at.offset for at in chunks)) for piece, chunks in pieces
            )
            manifest, partition = replace(checkpoint.manifest, pieces=tuple(kept)), checkpoint.partition
            at = self._producer.send(self._manifests, partition, manifest.to_json(), manifest_key(manifest))
            written.append((partition, manifest, at))
        self._producer.flush()
        for partition, manifest, at in written:
            before = self._newest.get(partition)
            self._newest[partition] = manifest
            if before is not None:
                self._drop(partition, set(chunk_keys(before)) - set(chunk_keys(manifest)))
            self._look_below(partition, at.offset)

    def foreign_claim(self, partition: int) -> int | None:
        """Tell of a claim above ours."""
        return self._foreign.get(partition)

    def forget(self, partition: int, history: History) -> None:
        """Delete them; the broker does so when it compacts."""
        for manifest in history.manifests:
            self._producer.send(self._manifests, partition, None, manifest_key(manifest))
            self._drop(partition, chunk_keys(manifest))
        self._drop(partition, self._left_behind(partition, history))

    def _records(self, partition: int, offsets: Collection[int]) -> Iterator[Record]:
        """The records at these offsets, as far as they are there."""
        for first, last in _ranges(sorted(offsets)):
            for record in self._reader.read(self._chunks, partition, first, last):
                if record.offset in offsets:
                    yield record

    def _sent(self, checkpoint: Checkpoint) -> list[tuple[KeptPiece, list[Sent] | None]]:
        """All pieces of a partition, and the chunks of those that are new. One at a time: the whole state as bytes would double it."""
        known = kept_already(self._newest.get(checkpoint.partition), checkpoint.manifest)
        pieces: list[tuple[KeptPiece, list[Sent] | None]] = []
        for piece in checkpoint.pieces:
            if piece.name in known:
                pieces.append((known[piece.name], None))
                continue
            kept, content = encoded(piece)
            chunks = []
            for number, start in enumerate(range(0, len(content), MESSAGE_BYTES)):
                key, value = _key(checkpoint.manifest, kept, number), content[start : start + MESSAGE_BYTES]
                chunks.append(self._producer.send(self._chunks, checkpoint.partition, value, key))
            pieces.append((kept, chunks))
        return pieces

    def _left_behind(self, partition: int, history: History) -> set[bytes]:
        """Keys of chunks that somebody has written before us, above what the manifests name, and never named: he crashed, or was frozen."""
        last = max((offset for manifest in history.manifests for piece in manifest.pieces for offset in piece.offsets), default=-1)
        bounds = self._reader.bounds(self._chunks, partition)
        ours = [offset for piece in self._newest[partition].pieces for offset in piece.offsets]
        records = self._reader.read(self._chunks, partition, max(bounds.first, last + 1), min(ours, default=bounds.end) - 1)
        newest = {record.key: record.value for record in records if record.key is not None}
        return {key for key, value in newest.items() if value is not None and _epoch_of(key) < self.epoch(partition)}

    def _drop(self, partition: int, keys: Iterable[bytes]) -> None:
        for key in sorted(keys):
            self._producer.send(self._chunks, partition, None, key)

    def _look_below(self, partition: int, ours: int) -> None:
        """Look for claims among what stands between our last record and the one just written there; mostly nothing does."""
        for record in self._reader.read(self._manifests, partition, self._seen[partition] + 1, ours - 1):
            if record.key == CLAIM_KEY:
                fields = about(topic=self._manifests, partition=partition, epoch=record.offset)
                log.warning("%s-%d: claimed by somebody else: %s", self._manifests, partition, record.value, extra=fields)
                self._foreign[partition] = record.offset
        self._seen[partition] = ours


def claim_value() -> bytes:
    """Say who claims, for people who look at the topic."""
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "at": round(time.time(), 3)}).encode()


def manifest_key(manifest: Manifest) -> bytes:
    """Key of a manifest's record: one an epoch."""
    return b"manifest/%d" % manifest.epoch


def chunk_keys(manifest: Manifest) -> Iterator[bytes]:
    """Keys of all chunks that a manifest names."""
    return (_key(manifest, piece, number) for piece in manifest.pieces for number in range(len(piece.offsets)))


def history_of(records: Iterable[Record], below: int) -> History:
    """What the records of a manifests partition say, in order of offset, up to a claim."""
    last_claim = -1
    kept: dict[bytes, bytes] = {}
    for record in records:
        if record.offset >= below or record.key is None:
            continue
        if record.key == CLAIM_KEY:
            last_claim = record.offset
        elif record.value is None:
            kept.pop(record.key, None)
        else:
            kept[record.key] = record.value
    return History(last_claim, tuple(map(Manifest.from_json, kept.values())))


def _key(manifest: Manifest, piece: KeptPiece, number: int) -> bytes:
    return f"{manifest.epoch}/{piece.name}/{number}".encode()


def _joined(piece: KeptPiece, chunks: list[bytes], where: str) -> pl.DataFrame:
    content = b"".join(chunks)
    chunks.clear()
    return decoded(piece, content, where)


def _epoch_of(key: bytes) -> int:
    return int(key.partition(b"/")[0])


def _ranges(offsets: list[int]) -> Iterator[tuple[int, int]]:
    """Ascending offsets as ranges [first, last] with small gaps only."""
    first = last = -1
    for offset in offsets:
        if first >= 0 and offset - last > NEAR:
            yield first, last
            first = offset
        first, last = (offset, offset) if first < 0 else (first, offset)
    if first >= 0:
        yield first, last
