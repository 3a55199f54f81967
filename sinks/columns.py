"""What ClickHouse calls the columns of our frames, and what the sink adds to them.

The tables themselves are made by `migrations/`; a test holds them against this. A column is `LowCardinality` where few different
strings stand in it, and `Nullable` where a time or a number may be absent.
"""

from functools import cache, reduce

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.frames import STRINGS, TABLES, TIME, Column, Table

LOW_CARDINALITY = frozenset(
    {
        "abandoned_step",
        "acquisition_channel",
        "app_version",
        "browser",
        "campaign",
        "carrier",
        "case_type",
        "cause",
        "channel",
        "cluster_id",
        "country",
        "currency",
        "device",
        "event_type",
        "expectation",
        "family",
        "first_priority",
        "furthest_step",
        "instance",
        "journey",
        "kind",
        "linked_by",
        "loyalty_state",
        "measure",
        "os",
        "owner",
        "payment_method",
        "priority",
        "reason",
        "rule",
        "severity",
        "signal",
        "site",
        "source",
        "stage",
        "status",
        "step",
        "team",
        "topic",
    }
)
"""Columns of at most some ten thousand different strings."""

ALWAYS_THERE = {
    "sessions": {"started_at", "ended_at", "friction_score"},
    "steps": {"first_at", "last_at", "friction_score"},
    "signals": {"fired_at", "weight"},
    "outcomes": {"began_at", "due_at"},
    "rollups": {"n"},
    "events": {"event_at"},
    "cases": {"opened_at"},
    "contacts": {"opened_at"},
    "answers": {"answered_at"},
    "alerts": {"opened_at", "updated_at"},
}
"""Table -> times and numbers that no row lacks, beside those of its key."""

VERSION = Column("version", pl.UInt64, "of the versions of a row the highest counts", "µs, of a hybrid clock")
WRITTEN_AT = Column("written_at", TIME, "when the row reached ClickHouse; retention counts from here", "UTC")

_ENGINE = {
    pl.String: "String",
    pl.Binary: "String",
    STRINGS: "Array(String)",
    TIME: "DateTime64(3, 'UTC')",
    pl.UInt8: "UInt8",
    pl.UInt32: "UInt32",
    pl.UInt64: "UInt64",
    pl.Int32: "Int32",
    pl.Int64: "Int64",
    pl.Float64: "Float64",
}
_ARROW = {
    pl.String: pa.large_string(),
    pl.Binary: pa.large_binary(),
    STRINGS: pa.large_list(pa.large_string()),
    TIME: pa.timestamp("ms", "UTC"),
    pl.UInt8: pa.uint8(),
    pl.UInt32: pa.uint32(),
    pl.Int32: pa.int32(),
    pl.Int64: pa.int64(),
    pl.Float64: pa.float64(),
}
_MAY_BE_ABSENT = (TIME, pl.Int32, pl.Int64, pl.Float64)


def stored_columns(table: Table) -> tuple[Column, ...]:
    """Every column of the table in ClickHouse, in order."""
    return (*table.columns[:-1], VERSION, table.columns[-1], WRITTEN_AT)


def engine_type(table: Table, column: Column) -> str:
    """What ClickHouse calls the type of a column."""
    plain = _ENGINE[column.dtype]
    if column.dtype == pl.String and column.name in LOW_CARDINALITY:
        return f"LowCardinality({plain})"
    return f"Nullable({plain})" if _is_nullable(table, column) else plain


def comment(column: Column) -> str:
    """Meaning and unit, as ClickHouse keeps them with the column."""
    return f"{column.meaning} [{column.unit}]" if column.unit else column.meaning


def _is_nullable(table: Table, column: Column) -> bool:
    there = {*table.key, *ALWAYS_THERE.get(table.name, ()), WRITTEN_AT.name}
    return column.dtype in _MAY_BE_ABSENT and column.name not in there


@cache
def arrow_schema(table: str) -> pa.Schema:
    """How rows of a table come to the sink: the columns of its frame and `version`."""
    columns = TABLES[table].columns
    return pa.schema([*(pa.field(column.name, _ARROW[column.dtype]) for column in columns), pa.field(VERSION.name, pa.int64())])


def conformed(table: str, rows: pa.Table | pl.DataFrame) -> pa.Table:
    """The rows with the types of `arrow_schema`, whichever strings and dictionaries they came with.

    Cases:   another order of columns -> the same | a column is missing -> ClickHouse fills in its default
    Raises:  ValueError if a column is none of the table's, has values of another type, or one of the key or `version` is missing
    """
    if isinstance(rows, pl.DataFrame):
        rows = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    schema = arrow_schema(table)
    unknown = sorted(set(rows.column_names) - set(schema.names))
    if unknown:
        message = f"table {table} has no column {', '.join(unknown)}"
        raise ValueError(message)
    missing = sorted({*TABLES[table].key, VERSION.name} - set(rows.column_names))
    if missing:
        message = f"rows of {table} without {', '.join(missing)}"
        raise ValueError(message)
    try:
        return rows.cast(pa.schema([schema.field(name) for name in rows.column_names]))
    except pa.ArrowException as error:
        message = f"rows of {table}: {error}"
        raise ValueError(message) from error


def unknown(table: str, rows: pa.Table) -> str:
    """What of these rows this version does not know, so that a newer one has written them; '' if it knows all, or they are no rows at all."""
    if table not in TABLES:
        return f"table {table} is not known to this version"
    strange = sorted(set(rows.column_names) - set(arrow_schema(table).names))
    is_whole = {*TABLES[table].key, VERSION.name} <= set(rows.column_names)
    return f"column {', '.join(strange)} of table {table} is not known to this version" if strange and is_whole else ""


def sifted(table: str, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Rows that the table takes, and those that lack a time or number which no row lacks.

    ClickHouse would fill such a hole with 1970 or 0 and say nothing.

    Cases:   a retracted row lacks all but its key and version -> taken, for nobody reads it
    """
    of_key = {name for name in (*TABLES[table].key, VERSION.name) if rows[name].null_count and not _is_text(rows[name].type)}
    of_row = {name for name in ALWAYS_THERE.get(table, ()) if name in rows.column_names and rows[name].null_count}
    holes = [pc.is_null(rows[name]) for name in of_key]
    if of_row and "is_deleted" in rows.column_names:
        is_living = pc.not_equal(pc.fill_null(rows["is_deleted"], 0), 1)
        holes += [pc.and_(pc.is_null(rows[name]), is_living) for name in of_row]
    elif of_row:
        holes += [pc.is_null(rows[name]) for name in of_row]
    if not holes:
        return rows, rows.slice(0, 0)
    bad = reduce(pc.or_, holes)
    return rows.filter(pc.invert(bad)), rows.filter(bad)


def _is_text(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_large_string(dtype))
