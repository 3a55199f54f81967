"""Batches: rows of one table, of one step, from one source partition, as one Kafka message in Arrow IPC.

A hop costs columns, not rows, and a batch goes into ClickHouse as it is. Who said it, under which epoch and as of which
position stands in the schema's metadata, readable without reading the rows. A *marker* has metadata and no rows,
and so has a message that only tells how far time has come.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import ipc

from agents.topics import MESSAGE_BYTES
from pipeline.about import About

# Messages are small: threads cost more than they save.
_WRITING = ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_READING = ipc.IpcReadOptions(use_threads=False)
_NO_ROWS = pa.table({})


class Batch:
    """A message read back; its rows are decoded when somebody asks for them."""

    def __init__(self, message: bytes) -> None:
        """Read the metadata.

        Raises: ValueError - no message of ours
        """
        try:
            self._stream = ipc.open_stream(pa.py_buffer(message), options=_READING)
            self.about = About.from_metadata(self._stream.schema.metadata or {})
        except (pa.ArrowInvalid, KeyError) as error:
            message_ = f"this is no Arrow batch of ours: {error!r}"
            raise ValueError(message_) from error

    def rows(self) -> pa.Table:
        """Return the rows, with their column `version`; asked for once.

        Raises: ValueError - what follows the metadata is broken
        """
        try:
            return self._stream.read_all().replace_schema_metadata(None)
        except (pa.ArrowException, OSError) as error:
            message_ = f"the rows of this batch cannot be read: {error!r}"
            raise ValueError(message_) from error


def without_rows(about: About) -> bytes:
    """A message that tells a new epoch (a marker), or a watermark alone."""
    return _message(_NO_ROWS, about)


def messages(rows: pl.DataFrame, about: About) -> Iterator[bytes]:
    """Rows of one table as messages of at most MESSAGE_BYTES; a row that alone is larger is a message of its own.

    The column `version` is added; it is the same in all rows.
    """
    yield from messages_of(as_table(rows), about)


def as_table(rows: pl.DataFrame) -> pa.Table:
    """Rows as they travel."""
    return rows.to_arrow(compat_level=pl.CompatLevel.oldest())


def messages_of(table: pa.Table, about: About) -> Iterator[bytes]:
    """The same of rows that are a table already, or a slice of one."""
    of_rows = pa.py_buffer(np.full(table.num_rows, about.version, np.int64))  # pa.array() would import pandas first
    version = pa.Array.from_buffers(pa.int64(), table.num_rows, [None, of_rows])
    yield from _cut(table.append_column("version", version), about)


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
    with ipc.new_stream(stream, described.schema, options=_WRITING) as writer:
        writer.write_table(described)
    return bytes(stream.getvalue())
