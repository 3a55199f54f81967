"""What ClickHouse answers, as a frame."""

import json
import re
from collections.abc import Sequence
from typing import Any

import polars as pl
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.query import QueryResult

_WRAPPED = re.compile(r"^(?:Nullable|LowCardinality)\((.*)\)$")
_TIME = re.compile(r"^DateTime(?:64\((\d).*)?")
_NESTED = re.compile(r"^(?:Map|Tuple|Nested|JSON|Object|Dynamic|Variant)\b")
_PLAIN: dict[str, Any] = {
    "String": pl.String,
    "UUID": pl.String,
    "Date": pl.Date,
    "Date32": pl.Date,
    "Bool": pl.Boolean,
    "Float32": pl.Float32,
    "Float64": pl.Float64,
    **{f"{kind}{bits}": getattr(pl, f"{kind}{bits}") for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)},
}
_MILLISECONDS = 3


_SELECT = re.compile(r"^[\s(]*(?:SELECT|WITH|FROM)\b", re.IGNORECASE)


def answer(client: Client, sql: str) -> pl.DataFrame:
    """What a statement finds; all times in UTC.

    Cases:   nothing found -> the columns, without rows | two columns of one name -> the second is `name_2` | bytes that are no UTF-8 -> hex |
    maps, tuples and JSON -> JSON | a type that frames do not know -> as text
    """
    # The embedded engine forgets the zone of a DateTime: without being told, a time would be read in that of the machine.
    result = client.query(sql, column_oriented=True, query_tz="UTC", tz_mode="aware")
    if not result.column_names and _SELECT.match(sql):  # of no rows the embedded engine says nothing, not even their columns
        result = client.query(f"SELECT * FROM (\n{sql}\n) LIMIT 0", column_oriented=True)  # noqa: S608 - as it came
    return _frame(result)


def _frame(result: QueryResult) -> pl.DataFrame:
    names = _distinct(result.column_names)
    columns = result.result_columns or [[] for _ in names]
    types = [kind.name for kind in result.column_types]
    return pl.DataFrame([_series(name, kind, values) for name, kind, values in zip(names, types, columns, strict=True)])


def _distinct(names: Sequence[str]) -> list[str]:
    distinct: list[str] = []
    for name in names:
        n = 2
        candidate = name
        while candidate in distinct:
            candidate, n = f"{name}_{n}", n + 1
        distinct.append(candidate)
    return distinct


def _series(name: str, kind: str, values: Sequence[Any]) -> pl.Series:
    while wrapped := _WRAPPED.match(kind):
        kind = wrapped[1]
    if kind == "UUID":
        values = [None if value is None else str(value) for value in values]
    if kind in _PLAIN:
        return pl.Series(name, values, _PLAIN[kind])
    if time := _TIME.match(kind):
        return pl.Series(name, values, pl.Datetime("ms" if int(time[1] or 0) <= _MILLISECONDS else "us", "UTC"))
    if _NESTED.match(kind):
        return pl.Series(name, [None if value is None else json.dumps(value, default=str) for value in values], pl.String)
    if kind == "Array(String)":
        return pl.Series(name, values, pl.List(pl.String))
    series = pl.Series(name, list(values), strict=False)
    if series.dtype == pl.Object:
        return pl.Series(name, [None if value is None else str(value) for value in values], pl.String)
    return series
