"""Events, and rows that are published, -> Kafka record values: Confluent frames of Avro datums, byte for byte what fastavro writes.

Frames:  event_schema(family), other than that only POSITION; or the columns of a published contract -> one value a row
Cases:   a nullable column that the frame does not have is null
Raises:  ValueError if a required column is not there or null, or a column is none of the contract

Polars writes all rows at once, but every column as a nullable one. So the index of the union is cut out of those that are not; where it stands
follows from how long every value before it is. The same of the strings of a list.
"""

import io

import fastavro
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from schemas import contracts

from pipeline.events import POSITION
from pipeline.layouts import STRINGS, Layout, layout

Sizes = NDArray[np.int64]

_DTYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "string": pl.String,
    "int": pl.Int32,
    "long": pl.Int64,
    "double": pl.Float64,
    "boolean": pl.Boolean,
    STRINGS: pl.List(pl.String),
}
_HEADER = "frame"
"""A column of three letters before all others: as long as the header of a frame, which is written over it."""


def encode(events: pl.DataFrame, family: str, schema_id: int, version: int | None = None) -> list[bytes]:
    """One record value a row, in the contract's newest version if none is said."""
    places = layout(contracts.schema(family, version), is_ours=True)
    wire = _wire(events, places, family)
    if wire.is_empty():
        return []
    octets = _written(wire)
    sizes, surplus = _sizes(wire, places)
    assert sizes.sum() == len(octets), f"{len(octets)} bytes were written, {sizes.sum()} are accounted for"
    header = np.frombuffer(b"\0" + schema_id.to_bytes(4, "big"), np.uint8)
    starts = np.cumsum(sizes) - sizes
    for at, octet in enumerate(header):
        octets[starts + at] = octet
    kept = np.ones(len(octets), np.bool_)
    cut: Sizes = np.zeros(len(sizes), np.int64)
    for rows, place in surplus:
        kept[starts[rows] + place] = False
        cut += np.bincount(rows, minlength=len(sizes))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes - cut)])
    values = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(sizes), [None, pa.py_buffer(offsets), pa.py_buffer(octets[kept])]
    )
    return pl.Series(values).to_list()


def _wire(events: pl.DataFrame, places: Layout, family: str) -> pl.DataFrame:
    """The columns as they lie in a datum, after one that keeps the header's place."""
    names = {place.name for place in places}
    strange = set(events.columns) - names - set(POSITION)
    if strange:
        message = f"{family} has no column {', '.join(sorted(strange))}"
        raise ValueError(message)
    for place in places:
        if not place.is_nullable and (place.name not in events.columns or events[place.name].null_count()):
            message = f"{place.name} is required in {family}, and not there in every row"
            raise ValueError(message)
    given = [
        pl.col(place.name).to_physical().cast(_DTYPES[place.kind])
        if place.is_time
        else pl.col(place.name).cast(_DTYPES[place.kind])
        for place in places
        if place.name in events.columns
    ]
    absent = [pl.lit(None, dtype=_DTYPES[place.kind]).alias(place.name) for place in places if place.name not in events.columns]
    return events.with_columns(*given, *absent, pl.lit("...").alias(_HEADER)).select(_HEADER, *(place.name for place in places))


def _written(wire: pl.DataFrame) -> NDArray[np.uint8]:
    """All rows, one after the other, every column after the index of its union; to be written into."""
    file = io.BytesIO()
    wire.write_avro(file)
    file.seek(0)
    return np.frombuffer(
        bytearray().join(
            block.bytes_.getvalue()  # type: ignore[attr-defined]  # known to its compiled class alone
            for block in fastavro.block_reader(file)
        ),
        np.uint8,
    )


def _sizes(wire: pl.DataFrame, places: Layout) -> tuple[Sizes, list[tuple[Sizes, Sizes]]]:
    """How many bytes every row has, and the indices that are too many: in which rows, and where in them."""
    sizes: Sizes = np.full(wire.height, 5, np.int64)
    every = np.arange(wire.height)
    surplus = []
    for place in places:
        if not place.is_nullable:
            surplus.append((every, sizes.copy()))
        sizes += 1
        column = wire[place.name]
        if column.null_count() == len(column):
            continue
        if place.kind == STRINGS:
            size, rows, within = _list_sizes(column)
            surplus.append((rows, sizes[rows] + within))
        else:
            size = _value_sizes(column)
        if column.null_count():
            size[column.is_null().to_numpy()] = 0
        sizes += size
    return sizes, surplus


def _list_sizes(column: pl.Series) -> tuple[Sizes, Sizes, Sizes]:
    """How many bytes every list has; and of each string in it the row, and where its index stands: after the number of strings, and those before it."""
    n = column.list.len().fill_null(0).to_numpy().astype(np.int64)
    counts = np.where(n > 0, _varint_sizes((n << 1).view(np.uint64)), 0)
    rows = np.repeat(np.arange(len(n)), n)
    strings = column.filter(pl.Series(n > 0)).explode()
    each = 1 + (_value_sizes(strings) if len(strings) else np.zeros(0, np.int64))
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(each)])
    firsts = np.cumsum(n) - n
    sizes = counts + before[firsts + n] - before[firsts] + 1  # a 0 ends it
    return sizes, rows, counts[rows] + before[:-1] - before[firsts][rows]


def _value_sizes(column: pl.Series) -> Sizes:
    """How many bytes every value has; of null: any number."""
    if column.dtype == pl.String:
        lengths = column.str.len_bytes().fill_null(0).to_numpy().astype(np.int64)
        return lengths + _varint_sizes(lengths.view(np.uint64) << np.uint64(1))
    if column.dtype in (pl.Int32, pl.Int64):
        numbers = column.cast(pl.Int64).fill_null(0).to_numpy()
        return _varint_sizes((numbers << 1 ^ numbers >> 63).view(np.uint64))
    return np.full(len(column), {pl.Float64: 8, pl.Boolean: 1}[type(column.dtype)], np.int64)


def _varint_sizes(values: NDArray[np.uint64]) -> Sizes:
    sizes: Sizes = np.ones(len(values), np.int64)
    most, bits = int(values.max()), 7
    while most >> bits:
        sizes += values >= np.uint64(1 << bits)
        bits += 7
    return sizes
