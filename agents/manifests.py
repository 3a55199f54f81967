"""Manifests: where a stage stands in one partition, and who holds it. The truth about position.

Whoever takes a partition over claims it, and gets an *epoch*, higher than every one before; and there is one *manifest* an epoch, so that
a zombie's cannot be kept in the place of its successor's. A manifest names the pieces of the state: those are kept already when it is. The highest (epoch, seq) counts, never the last one written: a frozen worker may write after its successor.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from agents.books import Books
from pipeline.about import Source
from pipeline.sources import Heard

FORMAT = 2
"""Of manifests and pieces; another number is another way of keeping state."""


class StateUnreadable(RuntimeError):
    """What was kept is not there, or not as it was written; the message says what and where."""


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
    said_to: int | None = None
    """Of a fold: offset of the last message on its partition of the rows topic that this state has said; None: not known."""
    said_epoch: int = -1
    """Of a fold: the newest epoch told there by then: what is said after it under a lower one, nobody hears. -1: not known."""
    books: Books | None = None
    """Of a fold: which offsets up to the position hold no record. None: nobody has begun yet."""
    turn: int = 0
    """How often somebody ordered to begin elsewhere: those who read what the stage passes on must know that offsets come anew."""
    sources: tuple[Heard, ...] = ()
    """Of a fold behind other stages: what it has heard of each of their partitions."""

    def moved(self, position: int) -> "Standing":
        """This at a position that somebody ordered: what lies between is no loss, and stands in the books."""
        books = None if self.books is None else self.books.skipped(position - self.position)
        return replace(self, position=position, books=books, turn=self.turn + (position != self.position))


@dataclass(frozen=True)
class Fence:
    """Batches of this source and a lower epoch were written by somebody who had lost the partition."""

    stage: str
    topic: str
    partition: int
    epoch: int


@dataclass(frozen=True)
class KeptPiece:
    """A piece of the state, and where it lies."""

    name: str
    """As the state calls it."""
    n_bytes: int
    sha256: str
    offsets: tuple[int, ...] = ()
    """Of its chunks on the chunks topic; none in a folder, where a piece is a file."""


@dataclass(frozen=True)
class Manifest:
    """A checkpoint: where the stage stood, and the state it had there."""

    epoch: int
    seq: int
    """Counts the checkpoints of an epoch; 0 is the full copy with which it begins."""
    cluster_id: str
    """Broker whose offsets these are: on another one they mean nothing."""
    standing: Standing
    partitions: Mapping[str, int] = field(default_factory=dict)
    """Topic -> partitions it had, of the input and of all topics of ours that the stage uses: fixed for life."""
    pieces: tuple[KeptPiece, ...] = ()
    """In the order in which the state named them."""

    def to_json(self, indent: int | None = None) -> bytes:
        """It as text, for people as well."""
        separators = (",", ":") if indent is None else None
        return json.dumps({"format": FORMAT, **vars(self)}, indent=indent, separators=separators, default=vars).encode()

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        """Read it back; what a later version added is ignored.

        Raises: StateUnreadable - no manifest of ours, or of a version that kept state in another way
        """
        try:
            said = json.loads(value)
            if said.get("format", 1) != FORMAT:
                message = f"the state was kept by another version of Ebbtide (format {said.get('format', 1)}, and this is {FORMAT})"
                raise StateUnreadable(message)
            standing = _known(Standing, said["standing"])
            standing["fences"] = tuple(Fence(**_known(Fence, fence)) for fence in standing.get("fences", ()))
            standing["sources"] = tuple(
                Heard(**{**_known(Heard, heard), "source": Source(**_known(Source, heard["source"]))})
                for heard in standing.get("sources", ())
            )
            standing["books"] = Books(**_known(Books, standing["books"])) if standing.get("books") else None
            manifest = _known(cls, said)
            manifest["standing"] = Standing(**standing)
            pieces = (_known(KeptPiece, piece) for piece in said["pieces"])
            manifest["pieces"] = tuple(KeptPiece(**{**piece, "offsets": tuple(piece["offsets"])}) for piece in pieces)
            return cls(**manifest)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"this is no manifest: {error!r}: {value[:100]!r}"
            raise StateUnreadable(message) from error


def _known(kind: Any, said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name in kind.__dataclass_fields__}


@dataclass(frozen=True)
class History:
    """What was kept of a partition before a claim."""

    last_claim: int
    """Epoch of the claim before it; -1: there was none."""
    manifests: tuple[Manifest, ...]
    """The newest manifest of every epoch that has not been forgotten."""

    @property
    def best(self) -> Manifest | None:
        """The manifest that counts; None: nobody has been here."""
        return max(self.manifests, key=lambda manifest: (manifest.epoch, manifest.seq), default=None)
