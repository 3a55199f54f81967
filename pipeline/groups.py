"""First, last and how many of each group, over rows that stand in order of time: by place, in numpy, for joins cost more than all the rest.

Frames:  number of the group of every row (-1: none) -> one value a group
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

Places = NDArray[np.int64]
"""Rows; -1 where there is none."""
Mask = NDArray[np.bool_]
Millis = NDArray[np.int64]

NEVER = np.iinfo(np.int64).max
"""A time in ms that does not come."""


@dataclass(frozen=True)
class Groups:
    """Rows in order of time, each in one group or in none."""

    of: Places
    """Group of every row."""
    n: int
    """How many groups there are."""

    def first(self, wanted: Mask) -> Places:
        """First row of each group that is wanted."""
        rows = np.flatnonzero(wanted & (self.of >= 0))[::-1]
        return self._placed(rows)

    def last(self, wanted: Mask) -> Places:
        """Last row of each group that is wanted."""
        return self._placed(np.flatnonzero(wanted & (self.of >= 0)))

    def count(self, wanted: Mask) -> Places:
        """How many rows of each group are wanted."""
        counted: Places = np.bincount(self.of[wanted & (self.of >= 0)], minlength=self.n).astype(np.int64)
        return counted

    def total(self, wanted: Mask, values: Millis) -> Millis:
        """Sum of the values of each group that are wanted."""
        rows = np.flatnonzero(wanted & (self.of >= 0))
        summed = np.zeros(self.n, dtype=np.int64)
        np.add.at(summed, self.of[rows], values[rows])
        return summed

    def _placed(self, rows: Places) -> Places:
        place = np.full(self.n, -1, dtype=np.int64)
        place[self.of[rows]] = rows  # of several the last one stays
        return place


def picked(column: pl.Series, places: Places) -> pl.Series:
    """The values at these places; null where they are -1."""
    return column.gather(rows_or_none(places))


def rows_or_none(places: Places) -> pl.Series:
    """Places to gather; null where they are -1."""
    return _with_nulls("", places.astype(np.uint32), places < 0)


def at(values: Millis, places: Places, default: int = NEVER) -> Millis:
    """The values at these places; the default where they are -1."""
    if not len(values):
        return np.full(len(places), default, dtype=np.int64)
    found: Millis = np.where(places >= 0, values[np.maximum(places, 0)], default)
    return found


def told_ms(name: str, values: Millis, none: int = NEVER) -> pl.Series:
    """Times or spans in ms as a column; null where there is none."""
    return _with_nulls(name, values, values == none)


def _with_nulls(name: str, values: NDArray[Any], is_null: Mask) -> pl.Series:
    # By way of arrow: a query a column costs more than the rest of a small step. From buffers: `pa.array` of numpy's imports pandas, for a second.
    known = pa.py_buffer(np.packbits(~is_null, bitorder="little"))
    values = np.ascontiguousarray(values)
    array = pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [known, pa.py_buffer(values)])
    return pl.Series(name, array)
