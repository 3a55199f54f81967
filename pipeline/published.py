"""What others subscribe to: the rows of some tables as Avro records. What is in them follows from the table.

Frames:  rows of TABLES with `partition` -> keys, values and places in a topic

A record is a row as it stands in the table, with its `version`: of two with one key the higher one counts, whatever came first. So whoever reads
twice what was said again after a crash, or hears a worker that has lost its partition, ends up with the same.

Cases:   retracted -> the record with `is_deleted` 1, so that a reader hears what is gone; on a compacted topic a tombstone behind it, so that it need not be kept
         no longer at risk -> likewise, with `is_over` 1 | a text that is not known -> '', a number or a time -> null
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.encode import encode
from pipeline.frames import ALERTS, OUTCOMES, SIGNALS
from pipeline.keys import partitions
from pipeline.risk_tables import AT_RISK
from pipeline.table import STRINGS, TIME, Column, Table

TABLES: Mapping[str, Table] = {table.name: table for table in (SIGNALS, OUTCOMES, ALERTS, AT_RISK)}
"""Those that can be published, by their names: schemas.contracts.PUBLISHED."""

COMPACTED = frozenset({ALERTS.name, AT_RISK.name})
"""Whose topics keep the newest record of a key: a reader who begins at the start knows all that is open."""

_OVER = ("is_deleted", "is_over")
"""Columns that say with 1 that nobody need keep the row."""

_AVRO: Mapping[Any, Any] = {
    pl.String: "string",
    pl.UInt8: "int",
    pl.Int32: "int",
    pl.UInt32: "long",
    pl.Int64: "long",
    pl.Float64: "double",
    TIME: {"type": "long", "logicalType": "timestamp-millis"},
    STRINGS: {"type": "array", "items": "string"},
}
_UNKNOWN: Mapping[Any, Any] = {pl.String: "", pl.UInt8: 0, pl.UInt32: 0, STRINGS: []}
"""What a table holds where a value is not known; of any other dtype null."""

VERSION = Column("version", pl.Int64, "which of two records with one key counts: the higher")


@dataclass(frozen=True)
class Records:
    """Rows as they go to a topic, in their order."""

    keys: list[str]
    values: list[bytes]
    partitions: NDArray[np.int32]
    is_over: list[bool]
    """Whether a tombstone may follow."""

    def __iter__(self) -> Iterator[tuple[str, bytes, int, bool]]:
        """Key, value, partition and whether it is over, of each."""
        return zip(self.keys, self.values, self.partitions.tolist(), self.is_over, strict=True)


def records(rows: pl.DataFrame, table: str, version: int, schema_id: int, n_partitions: int) -> Records:
    """What is published of rows. A key is the row's id as a JSON object; it says the partition, for ever."""
    of = TABLES[table]
    keys = rows.select(pl.struct(of.key).struct.json_encode().alias("key"))["key"]
    stamped = rows.select(*of.schema, pl.lit(version, pl.Int64).alias(VERSION.name))
    is_over = rows.select(pl.any_horizontal(pl.col(name) == 1 for name in _OVER if name in of.schema).alias("is_over"))["is_over"]
    return Records(
        keys.to_list(), encode(stamped, table, schema_id), partitions(rows["site"], keys, n_partitions), is_over.to_list()
    )


def contract(table: Table) -> dict[str, Any]:
    """The Avro contract of a table: its newest version in schemas/ is this."""
    return {
        "type": "record",
        "name": table.name,
        "namespace": "ebbtide",
        "doc": f"{table.meaning[0].upper()}{table.meaning[1:]}. Kafka key: {', '.join(table.key)}, as a JSON object.",
        "fields": [_field(column, is_key=column.name in table.key) for column in (*table.columns, VERSION)],
    }


def _field(column: Column, *, is_key: bool) -> dict[str, Any]:
    avro = _AVRO[column.dtype]
    said: dict[str, Any] = {"name": column.name}
    if is_key or column is VERSION:
        said["type"] = avro
    elif column.dtype in _UNKNOWN:
        said |= {"type": avro, "default": _UNKNOWN[column.dtype]}
    else:
        said |= {"type": ["null", avro], "default": None}
    said["doc"] = column.meaning
    return said | ({"unit": column.unit} if column.unit else {})
