"""Manifests: where a stage stands in one partition, and who holds it. The truth about position.

One compacted topic a stage, with a partition for each of its input. Two kinds of record lie there:
a *claim*, written by whoever takes the partition over: its offset is the new owner's *epoch*, which grows on any broker and
also when the consumer group is deleted; and a *manifest*, one key an epoch, so that compaction cannot keep a zombie's instead
of its successor's. The highest (epoch, seq) counts, never the last one written: a frozen worker may write after its successor.
"""

import json
import os
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from agents.log_reader import Record

CLAIM_KEY = b"claim"


@dataclass(frozen=True)
class Standing:
    """Where a stage stands in one partition. State goes with it, in chunks."""

    position: int
    """Last offset applied; -1: none."""
    watermark_ms: int | None = None
    """How far event time has come; None: nothing read yet."""
    quiet_since_ms: int | None = None
    """Wall clock at which the watermark was that: downtime counts as elapsed."""
    highest_version: int = 0
    """Highest version stamped or received."""
    fates: Mapping[str, int] = field(default_factory=dict)
    """What became of the records up to the position: fate -> how many, since the stage began; `n_late` counts within applied."""
    fences: tuple["Fence", ...] = ()
    """Of the sink: the newest epoch of every source, as told up to the position."""


@dataclass(frozen=True)
class Fence:
    """Batches of this source and a lower epoch were written by somebody who had lost the partition."""

    stage: str
    topic: str
    partition: int
    epoch: int


@dataclass(frozen=True)
class Chunk:
    """A piece of the state: a record of the chunks topic."""

    key: str
    offset: int


@dataclass(frozen=True)
class Manifest:
    """A checkpoint: where the stage stood, and the state it had there."""

    epoch: int
    seq: int
    """Counts the checkpoints of an epoch; 0 is the full copy with which it begins."""
    cluster_id: str
    """Broker whose offsets these are: on another one they mean nothing."""
    standing: Standing
    chunks: tuple[Chunk, ...] = ()
    frames: tuple[tuple[str, int], ...] = ()
    """(name, bytes) of the state's frames, in the order in which the chunks hold them."""
    sha256: str = ""
    """Checksum over all chunks."""

    @property
    def key(self) -> bytes:
        """Key of the record."""
        return b"manifest/%d" % self.epoch

    def to_json(self) -> bytes:
        """Value of the record."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        """Read a record's value; what a later version added is ignored."""
        said = json.loads(value)
        standing = _known(Standing, said["standing"])
        standing["fences"] = tuple(Fence(**_known(Fence, fence)) for fence in standing.get("fences", ()))
        manifest = _known(cls, said)
        manifest["standing"] = Standing(**standing)
        manifest["chunks"] = tuple(Chunk(**_known(Chunk, chunk)) for chunk in said["chunks"])
        manifest["frames"] = tuple((name, size) for name, size in said["frames"])
        return cls(**manifest)


def _known(kind: Any, said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name in kind.__dataclass_fields__}


def claim_value() -> bytes:
    """Say who claims, for people who look at the topic."""
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "at": round(time.time(), 3)}).encode()


@dataclass(frozen=True)
class History:
    """What lay on a manifests partition below a claim."""

    last_claim: int
    """Epoch of the claim before it; -1: there was none."""
    manifests: tuple[Manifest, ...]
    """The newest manifest of every epoch that has not been forgotten."""

    @classmethod
    def of(cls, records: Iterable[Record], below: int) -> Self:
        """Read the records, in order of offset, up to a claim."""
        last_claim = -1
        kept: dict[bytes, Manifest] = {}
        for record in records:
            if record.offset >= below or record.key is None:
                continue
            if record.key == CLAIM_KEY:
                last_claim = record.offset
            elif record.value is None:
                kept.pop(record.key, None)
            else:
                kept[record.key] = Manifest.from_json(record.value)
        return cls(last_claim, tuple(kept.values()))

    @property
    def best(self) -> Manifest | None:
        """The manifest that counts; None: nobody has been here."""
        return max(self.manifests, key=lambda manifest: (manifest.epoch, manifest.seq), default=None)
