"""Rows of the views for a story: of one table, as far as a story reads."""

# ruff: noqa: S608 - every value is quoted, names are ours

from collections.abc import Iterable
from datetime import datetime

import polars as pl
from clickhouse_connect.driver.binding import format_str, quote_identifier

from sinks.reader import Reader

MOST_ROWS = 10_000
"""Rows of one table in one story; who has more is no person."""


class TablesMissing(LookupError):
    """The store lacks tables that this version has."""


def refuse_if_missing(reader: Reader, tables: Iterable[str]) -> None:
    """Raises: TablesMissing; as `Reader.query`."""
    found = reader.query(f"SELECT name FROM system.tables WHERE database = {quoted(reader.database)}")["name"].to_list()
    missing = [name for name in tables if f"{name}_now" not in found]
    if missing:
        these = f"the table{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        message = (
            f"{reader.address}, database {reader.database}, lacks {these}: an older version made it, or nothing was written yet; "
            "`ebbtide migrate` makes them, with the same --clickhouse"
        )
        raise TablesMissing(message)


def rows(reader: Reader, table: str, where: str, order: str) -> pl.DataFrame:
    """Latest versions. Raises: as `Reader.query`."""
    return reader.query(f"SELECT * FROM {view(reader, table)} WHERE {where} ORDER BY {order} LIMIT {MOST_ROWS}")


def view(reader: Reader, table: str) -> str:
    """The name of its view."""
    return f"{quote_identifier(reader.database)}.{table}_now"


def same(**said: object) -> str:
    """Columns that say this; those of which nothing is wanted are left out."""
    return " AND ".join(f"{name} = {quoted(value)}" for name, value in said.items() if value is not None)


def among(name: str, values: Iterable[object]) -> str:
    """A column that says one of these."""
    listed = ", ".join(quoted(value) for value in dict.fromkeys(values))
    return f"{name} IN ({listed})" if listed else "0"


def quoted(value: object) -> str:
    """A string or a time in SQL."""
    if isinstance(value, datetime):
        return f"fromUnixTimestamp64Milli({round(value.timestamp() * 1_000)})"
    return str(format_str(str(value)))
