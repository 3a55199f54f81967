"""The frame of a decoded event family: the columns of its newest contract, and where each record lay."""

from functools import cache
from typing import Any

import polars as pl
from schemas import contracts

from pipeline.frames import TIME

DTYPES: dict[str, pl.DataType] = {
    "string": pl.String(),
    "int": pl.Int32(),
    "long": pl.Int64(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
    "timestamp-millis": TIME,
}
"""Avro type -> dtype: the only types that a contract has."""

POSITION = pl.Schema([("partition", pl.Int32), ("offset", pl.Int64), ("record_at", TIME)])
"""The columns that follow in a decoded frame: where the record lay, and its Kafka record time."""


@cache
def event_schema(family: str) -> pl.Schema:
    """Contract column -> dtype, in the contract's order."""
    return pl.Schema({field["name"]: DTYPES[_kind(field["type"])] for field in contracts.schema(family)["fields"]})


def _kind(type_: Any) -> str:
    """Avro type of a field, without its null."""
    plain = type_[1] if isinstance(type_, list) else type_
    return str(plain["logicalType"] if isinstance(plain, dict) else plain)
