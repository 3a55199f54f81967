"""Batches: rows of one table, of one step, from one source partition, as one Kafka message in Arrow IPC.

A hop costs columns, not rows, and a batch goes into ClickHouse as it is. Who said it, under which epoch and as of which
position stands in the schema's metadata, readable without reading the rows. A *marker* has metadata and no rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import polars as pl
import pyarrow as pa
from pyarrow import ipc

from agents.topics import MESSAGE_BYTES

_OPTIONS = ipc.IpcWriteOptions(compression="lz4", use_threads=False)  # messages are small: threads cost more than they save
_NO_ROWS = pa.table({})


@dataclass(frozen=True)
class Source:
    """Who says something: a stage, about one partition of its input."""

    stage: str
    topic: str
    partition: int


@dataclass(frozen=True)
class About:
    """What a message says beside its rows."""

    source: Source
    epoch: int
    """Offset of the claim under which it was written."""
    last_offset: int
    """Position of the source after the step."""
    watermark_ms: int | None
    """How far event time had come there; None: nothing read yet."""
    version: int = 0
    """Version of all rows."""
    table: str = ""
    """Table of the rows; '' in a marker."""
    is_marker: bool = False
    """Whether it only tells the epoch: batches of this source and a lower one are to be ignored from here on."""

    def to_metadata(self) -> dict[bytes, bytes]:
        """Metadata of the schema."""
        said = {
            "table": self.table,
            "stage": self.source.stage,
            "source_topic": self.source.topic,
            "source_partition": self.source.partition,
            "epoch": self.epoch,
            "last_offset": self.last_offset,
            "watermark_ms": "" if self.watermark_ms is None else self.watermark_ms,
            "version": self.version,
            **({"marker": 1} if self.is_marker else {}),
        }
        return {name.encode(): str(value).encode() for name, value in said.items()}

    @classmethod
    def from_metadata(cls, metadata: dict[bytes, bytes]) -> Self:
        """Read a schema's metadata."""
        said = {name.decode(): value.decode() for name, value in metadata.items()}
        return cls(
            source=Source(said["stage"], said["source_topic"], int(said["source_partition"])),
            epoch=int(said["epoch"]),
            last_offset=int(said["last_offset"]),
            watermark_ms=int(said["watermark_ms"]) if said["watermark_ms"] else None,
            version=int(said["version"]),
            table=said["table"],
            is_marker="marker" in said,
        )


class Batch:
    """A message read back; its rows are decoded when somebody asks for them."""

    def __init__(self, message: bytes) -> None:
        """Read the metadata.

        Raises: ValueError - no message of ours
        """
        try:
            self._stream = ipc.open_stream(pa.py_buffer(message))
            self.about = About.from_metadata(self._stream.schema.metadata or {})
        except (pa.ArrowInvalid, KeyError) as error:
            message_ = f"this is no Arrow batch of ours: {error!r}"
            raise ValueError(message_) from error

    def rows(self) -> pa.Table:
        """Return the rows, with their column `version`; asked for once."""
        return self._stream.read_all().replace_schema_metadata(None)


def marker(about: About) -> bytes:
    """A message that tells a new epoch."""
    return _message(_NO_ROWS, about)


def messages(rows: pl.DataFrame, about: About) -> Iterator[bytes]:
    """Rows of one table as messages of at most MESSAGE_BYTES; a row that alone is larger is a message of its own.

    The column `version` is added; it is the same in all rows.
    """
    stamped = rows.with_columns(pl.lit(about.version, dtype=pl.Int64).alias("version"))
    yield from _cut(stamped.to_arrow(compat_level=pl.CompatLevel.oldest()), about)


def _cut(table: pa.Table, about: About) -> Iterator[bytes]:
    # Compressed it is smaller, mostly by far; only what is hopeless is cut without having been tried.
    pieces = max(1, min(table.num_rows, table.nbytes // (8 * MESSAGE_BYTES)))
    if pieces == 1:
        message = _message(table, about)
        if len(message) <= MESSAGE_BYTES or table.num_rows <= 1:
            yield message
            return
        pieces = 2
    size = -(-table.num_rows // pieces)
    for start in range(0, table.num_rows, size):
        yield from _cut(table.slice(start, size), about)


def _message(table: pa.Table, about: About) -> bytes:
    stream = pa.BufferOutputStream()
    described = table.replace_schema_metadata(about.to_metadata())
    with ipc.new_stream(stream, described.schema, options=_OPTIONS) as writer:
        writer.write_table(described)
    return bytes(stream.getvalue())
