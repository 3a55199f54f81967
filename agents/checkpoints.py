"""Checkpoints: the state of a stage in pieces, its position in manifests.

What recovery asks of them is `Checkpoints`. There are two: on compacted topics (`kafka_checkpoints`), and in a folder (`directory_checkpoints`).

Order, always: what the stage has emitted is on the broker -> pieces -> manifest -> pieces that the manifest does not name are dropped.
So a manifest that can be read names pieces that can be read, and rows that have been said.

A state names its pieces so that a name never stands for two contents. So only pieces with new names are written; but in a new epoch all are.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl
import pyarrow as pa
from pyarrow import ipc

from agents.log_reader import LogBounds, Record
from agents.manifests import History, KeptPiece, Manifest, StateUnreadable
from agents.producer import Sent
from pipeline.pieces import Piece


@dataclass(frozen=True)
class Checkpoint:
    """What to keep of one partition: a manifest that names no pieces yet, and the pieces."""

    partition: int
    manifest: Manifest
    pieces: Iterable[Piece]
    """Gone through once."""


class Checkpoints(Protocol):
    """Where a stage keeps its state and positions; all calls may block, one thread at a time."""

    def claim(self, partition: int) -> int:
        """Claim a partition; returns the epoch, higher than every one before it."""

    def epoch(self, partition: int) -> int:
        """Return the epoch of our last claim; -1: none by this process."""

    def history(self, partition: int, epoch: int) -> History:
        """Say what was kept before a claim.

        Raises: StateUnreadable - by another version, or not by us
        """

    def load(self, partition: int, manifest: Manifest) -> dict[str, pl.DataFrame]:
        """Read back the pieces that a manifest names, in its order.

        Raises: StateUnreadable - one is not there, or not as it was written
        """

    def save(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Keep these, for good when it returns. What the stage has said before must be on the broker."""

    def foreign_claim(self, partition: int) -> int | None:
        """Epoch of the newest claim that somebody has put above ours; None: none that we know of, as of the last `save`."""

    def forget(self, partition: int, history: History) -> None:
        """Drop what was kept in epochs that are over. Ours has been kept since."""


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

    def read(self, topic: str, partition: int, first: int, last: int) -> Iterator[Record]:
        """Read all that is left of [first, last]."""


def encoded(piece: Piece) -> tuple[KeptPiece, bytes]:
    """A piece as an Arrow IPC stream, and what a manifest says of it."""
    # pyarrow writes and reads it several times as fast as polars does, and keeps nothing of the bytes.
    table = piece.frame().to_arrow(compat_level=pl.CompatLevel.oldest())
    stream = pa.BufferOutputStream()
    with ipc.new_stream(stream, table.schema, options=ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    content = stream.getvalue().to_pybytes()
    return KeptPiece(piece.name, len(content), hashlib.sha256(content).hexdigest()), content


def decoded(piece: KeptPiece, content: bytes, where: str) -> pl.DataFrame:
    """A piece read back.

    Raises: StateUnreadable - it is not what was written
    """
    if hashlib.sha256(content).hexdigest() != piece.sha256:
        raise unreadable(where, [piece.name], f"it has {len(content)} bytes, of {piece.n_bytes}, and another checksum")
    try:
        return pl.DataFrame(pl.from_arrow(ipc.open_stream(pa.py_buffer(content)).read_all()))
    except pa.ArrowException as error:
        raise unreadable(where, [piece.name], str(error)) from error


def unreadable(where: str, names: Iterable[str], why: str) -> StateUnreadable:
    """What to say of a state that cannot be read back."""
    return StateUnreadable(
        f"{where}: the state cannot be read back: {', '.join(names)}: {why}. Nothing was changed; "
        "to begin anew take another kafka.prefix, or with `up` another --data-dir"
    )


def kept_already(newest: Manifest | None, manifest: Manifest) -> Mapping[str, KeptPiece]:
    """What need not be written again: name -> piece."""
    if newest is None or newest.epoch != manifest.epoch:
        return {}
    return {piece.name: piece for piece in newest.pieces}
