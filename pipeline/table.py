"""What a table is: columns with meaning and unit, a key, and how a frame is made to fit it.

Frames:  any columns of a table -> exactly those, in order
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import polars as pl

TIME = pl.Datetime("ms", "UTC")
"""Event time, UTC, milliseconds."""

STRINGS = pl.List(pl.String)

Dtype = pl.DataType | type[pl.DataType]


class _Columns(pl.Schema):
    """Makes its empty frame once: folds ask for one tens of times a step."""

    @cached_property
    def _nothing(self) -> pl.DataFrame:
        return super().to_frame()

    def to_frame(self, *, eager: bool = True) -> Any:
        return self._nothing.clone() if eager else super().to_frame(eager=False)


def schema(columns: Mapping[str, Dtype]) -> pl.Schema:
    """Columns of a frame, in order."""
    return _Columns(columns)


@dataclass(frozen=True)
class Column:
    """One column: what stands in it, and in which unit."""

    name: str
    dtype: Dtype
    meaning: str
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """One table of ClickHouse, as the folds fill it."""

    name: str
    key: tuple[str, ...]
    """The id of a row, `site` first: the sorting key."""
    columns: tuple[Column, ...]
    meaning: str = ""

    @cached_property
    def schema(self) -> pl.Schema:
        """Column name -> dtype, in order."""
        return schema({column.name: column.dtype for column in self.columns})

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with exactly this table's columns and `partition`: absent strings '', absent lists empty, `is_deleted` 0.

        Raises:  AssertionError if the frame has a column that the table does not know.
        """
        unknown = set(frame.columns) - set(self.schema) - {"partition"}
        assert not unknown, f"table {self.name} has no column {sorted(unknown)}"
        return frame.select(_conforming(self, tuple(frame.columns)))


_EMPTY: dict[object, object] = {pl.String: "", STRINGS: [], pl.UInt8: 0, pl.UInt32: 0}


@cache
def _conforming(table: Table, given: tuple[str, ...]) -> tuple[pl.Expr, ...]:
    """What makes a frame of these columns one of the table: to write it down costs more than to ask it of a small frame."""
    found = []
    for name, dtype in table.schema.items():
        column = pl.col(name).cast(dtype) if name in given else pl.lit(None, dtype=dtype).alias(name)
        found.append(column.fill_null(pl.lit(_EMPTY[dtype], dtype=dtype)) if dtype in _EMPTY else column)
    if "partition" not in table.schema:
        found.append(pl.col("partition").cast(pl.Int32))
    return tuple(found)


def columns(rows: Iterable[tuple[str, object, str, str]]) -> tuple[Column, ...]:
    """Columns from name, dtype, meaning, unit."""
    return tuple(Column(name, dtype, meaning, unit) for name, dtype, meaning, unit in rows)  # type: ignore[arg-type]  # rows are literals below


SITE = ("site", pl.String, "shop, brand or market", "")
DELETED = ("is_deleted", pl.UInt8, "1: this row was retracted; the _now view hides it", "0 or 1")
WHO = (
    ("visitor_id", pl.String, "browser or device, before login", ""),
    ("customer_id", pl.String, "known person", ""),
    ("account_id", pl.String, "company of a B2B customer", ""),
)
