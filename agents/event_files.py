"""Events and truth as files: NDJSON for people and for every tool, Parquet for columns."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Literal

import polars as pl
import polars.selectors as cs
import pyarrow.parquet as pq

from pipeline.simulator.entries import contract_of

Format = Literal["ndjson", "parquet"]
Write = Callable[[pl.DataFrame], None]
"""Appends rows to an open file."""


def lines(frame: pl.DataFrame) -> bytes:
    """A JSON object a row, one a line: times in ISO 8601, what is absent left out."""
    text = frame.with_columns(cs.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")).write_ndjson()
    # Within a string a quote never follows a comma, but for the one that ends it, and after that one comes no name.
    # What is left then is the first field of a line.
    return re.sub(r'(?m)^\{"[a-z_]+":null,?', "{", re.sub(r',"[a-z_]+":null', "", text)).encode()


def ndjson(files: ExitStack, path: Path) -> Write:
    """Open a file of lines, closed with `files`."""
    file: BinaryIO = files.enter_context(path.open("wb"))

    def write(frame: pl.DataFrame) -> None:
        file.write(lines(frame))

    return write


def parquet(files: ExitStack, path: Path) -> Write:
    """Open a Parquet file of the events of the family that its name says, whole once `files` is closed."""
    columns = pl.DataFrame(schema=contract_of(path.stem)).to_arrow().schema
    file = files.enter_context(pq.ParquetWriter(path, columns, compression="zstd"))

    def write(frame: pl.DataFrame) -> None:
        if frame.height:
            file.write_table(frame.to_arrow())

    return write


WRITERS: dict[Format, Callable[[ExitStack, Path], Write]] = {"ndjson": ndjson, "parquet": parquet}
