"""Kafka records -> events of one family, and what cannot be used, with its bytes and why.

Frames:  -> event_schema(family) + POSITION in the order of the records, REJECTS in the same order
Time:    see checks
Cases:   all rows of a schema id are read at once, column by column (datums); a row that is marked there is read alone, by the book
         (single_datums), and rejected if that finds it wrong: so the fast way and the slow way never differ, and no record changes another
         a later version of the contract -> columns that we do not know are left out, columns that it does not have are null
Rejects: no frame, unknown schema, wrong bytes, too large, and what `checks` says; every record is either in `events` or in `rejects`
Raises:  nothing on data
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline import readings
from pipeline.about import Head
from pipeline.checks import Bounds, judged, without
from pipeline.datums import Body, sizes_of
from pipeline.events import POSITION, event_schema
from pipeline.frames import REJECTS, TIME
from pipeline.readings import HEADER, Reading, Rows
from pipeline.rejects import Reason

__all__ = ["Bounds", "Decoded", "Records", "decode"]

_AT_ONCE = 5 << 20
"""Bytes of values that are joined at once; more are decoded in pieces: every field goes over all of them, and what stays in the cache costs a fifth less
(1.6 against 2.0 us an event, 100,000 events; 1.6 to 1.8 with 3 to 8 MiB)."""


@dataclass(frozen=True)
class Records:
    """What was read, one entry a record: lists of equal length, runs of several partitions one after the other."""

    partitions: Sequence[int]
    offsets: Sequence[int]
    record_at_ms: Sequence[int]
    """Kafka record time, milliseconds since 1970 UTC."""
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]

    def __len__(self) -> int:
        """How many records."""
        return len(self.values)

    def slice(self, begin: int, end: int) -> "Records":
        """Records from one place up to another."""
        fields = (self.partitions, self.offsets, self.record_at_ms, self.keys, self.values)
        return Records(*(field[begin:end] for field in fields))  # type: ignore[arg-type]  # each keeps its type


@dataclass(frozen=True)
class Decoded:
    """What records became."""

    events: pl.DataFrame
    """event_schema(family) + POSITION, in the order of the records."""
    rejects: pl.DataFrame
    """frames.REJECTS, in the order of the records."""
    n_slow: int = 0
    """How many records had to be read alone, good or bad: of sound ones next to none."""
    heads: tuple[Head, ...] = ()
    """Of messages between stages: what each says beside its rows, in their order."""


def decode(records: Records, family: str, writers: Mapping[int, Mapping[str, Any]], bounds: Bounds) -> Decoded:
    """Decode records of one family. `writers`: schema id -> the writer's parsed schema, any version of the family.

    Schemas are asked for with `writers.get`, once for every schema id that is named: they may be fetched only then, and what that raises goes on.

    Frames: -> event_schema(family) + POSITION, REJECTS
    """
    # None is rare, and asking each value costs as much as a tenth of decoding it.
    try:
        sizes = sizes_of(records.values)  # type: ignore[arg-type]  # None raises
    except TypeError:
        sizes = sizes_of([b"" if value is None else value for value in records.values])
    borders = _borders(sizes)
    pieces = [
        _decoded(records if len(borders) == 2 else records.slice(begin, end), sizes[begin:end], family, writers, bounds)
        for begin, end in pairwise(borders)
    ]
    if len(pieces) == 1:
        return pieces[0]
    return Decoded(
        pl.concat([piece.events for piece in pieces], rechunk=True),
        pl.concat([piece.rejects for piece in pieces]),
        sum(piece.n_slow for piece in pieces),
    )


def _borders(sizes: Rows) -> list[int]:
    """Where to cut, so that each piece is what is joined at once, or one value more."""
    piece = np.cumsum(sizes) // _AT_ONCE
    return [0, *(np.flatnonzero(np.diff(piece)) + 1).tolist(), len(sizes)]


def _decoded(records: Records, sizes: Rows, family: str, writers: Mapping[int, Mapping[str, Any]], bounds: Bounds) -> Decoded:
    n = len(records)
    body = _body(records.values, sizes, bounds.max_message_bytes)
    framed = (body.ends - body.starts > HEADER) & (body.octets.take(body.starts) == 0)
    ids = _ids(body, framed)
    reads = _of_schemas(body, ids, framed, family, writers)
    unframed = np.flatnonzero(~framed)
    if len(unframed):
        reads.append(readings.refused(unframed, [_unframed(records.values[row], bounds) for row in unframed.tolist()], family))
    rows, events = _in_order(reads, family)
    events, verdicts = judged(_with_position(events, records, rows), family, bounds)
    bad = [read.verdicts for read in reads if len(read.verdicts)]
    if len(verdicts):
        bad.append(verdicts.with_columns(pl.Series("row", rows[verdicts["row"].to_numpy()]).cast(pl.UInt32)))
        events = without(events, verdicts)
    rejects = _rejects(pl.concat(bad).sort("row"), records, ids) if bad else pl.DataFrame(schema=REJECTS)
    assert events.height + rejects.height == n, f"of {n} records {events.height} are events and {rejects.height} are rejects"
    return Decoded(events, rejects, sum(read.n_slow for read in reads))


def _body(values: Sequence[bytes | None], sizes: Rows, most: int) -> Body:
    """The values joined; those that are too large or none are left out."""
    if len(sizes) and sizes.min() > 0 and sizes.max() <= most:
        return Body(values, sizes)  # type: ignore[arg-type]  # None has size 0
    kept = [value if value is not None and len(value) <= most else b"" for value in values]
    return Body(kept, np.where(sizes > most, 0, sizes))


def _ids(body: Body, framed: NDArray[np.bool_]) -> Rows:
    """Schema id of every row, -1 where there is none."""
    ids = np.full(len(framed), -1, np.int64)
    ids[framed] = body.halves[body.starts[framed] + 1].byteswap()
    return ids


def _of_schemas(
    body: Body, ids: Rows, framed: NDArray[np.bool_], family: str, writers: Mapping[int, Mapping[str, Any]]
) -> list[Reading]:
    """Read the rows of every schema id. The most frequent are asked for first: made-up ones come after the real ones."""
    named, counts = np.unique(ids[framed], return_counts=True)
    reads, left = [], framed.copy()
    for schema_id in named[np.argsort(-counts)].tolist():
        schema = writers.get(schema_id)
        if schema is not None:
            which = ids == schema_id
            left &= ~which
            reads.append(readings.of_schema(body, np.flatnonzero(framed & which), family, schema_id, schema))
    unknown = np.flatnonzero(left)
    if len(unknown):
        why = [(Reason.UNKNOWN_SCHEMA, f"no schema with id {schema_id} for {family}") for schema_id in ids[unknown].tolist()]
        reads.append(readings.refused(unknown, why, family))
    return reads


def _unframed(value: bytes | None, bounds: Bounds) -> tuple[Reason, str]:
    if value is None:
        return Reason.UNDECODABLE, "no value"
    if len(value) > bounds.max_message_bytes:
        return Reason.TOO_LONG, f"the message has {len(value)} bytes, {bounds.max_message_bytes} allowed"
    if len(value) <= HEADER:
        return Reason.UNDECODABLE, f"{len(value)} bytes are no Confluent frame"
    return Reason.UNDECODABLE, f"the first byte is {value[0]}, that of a Confluent frame 0"


def _in_order(reads: Sequence[Reading], family: str) -> tuple[Rows, pl.DataFrame]:
    """Events of all schema ids in the order of the records, and their rows."""
    filled = [read for read in reads if len(read.rows)]
    if not filled:
        return np.zeros(0, np.int64), pl.DataFrame(schema=event_schema(family))
    rows, events = np.concatenate([read.rows for read in filled]), pl.concat([read.events for read in filled]).rechunk()
    if (np.diff(rows) < 0).any():
        order = np.argsort(rows)
        rows, events = rows[order], events[order]
    return rows, events


def _with_position(events: pl.DataFrame, records: Records, rows: Rows) -> pl.DataFrame:
    columns = {"partition": records.partitions, "offset": records.offsets, "record_at": records.record_at_ms}
    position = [pl.Series(name, np.array(values, np.int64)[rows]).cast(POSITION[name]) for name, values in columns.items()]
    return events.with_columns(position)


def _rejects(verdicts: pl.DataFrame, records: Records, ids: Rows) -> pl.DataFrame:
    rows = verdicts["row"].to_list()
    return verdicts.select(
        pl.Series("partition", [records.partitions[row] for row in rows], pl.Int32),
        pl.Series("offset", [records.offsets[row] for row in rows], pl.Int64),
        pl.Series("record_at", [records.record_at_ms[row] for row in rows], pl.Int64).cast(TIME),
        "reason",
        "detail",
        pl.Series("schema_id", ids[rows], pl.Int64).replace(-1, None).cast(pl.UInt32).reinterpret(signed=True),
        pl.Series("key", [records.keys[row] for row in rows], pl.Binary),
        pl.Series("payload", [records.values[row] for row in rows], pl.Binary),
    ).select(*REJECTS)
