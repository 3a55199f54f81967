"""What is remembered of many series, cut so that an interval changes few of the pieces.

An interval changes one slot of each season, one place of each ring, and what is counted of late; of 10,000 series all of it would be 60 MiB. So the slots
and places are kept in groups, and a group that is as it was keeps its name. Few series are kept in one piece.

Frames:  KNOWN and SERIES, a row a series -> groups of their columns
"""

import math
from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np
import polars as pl

from pipeline.many_baselines import LONGEST, SEASONS, Arrays
from pipeline.rate_series import KEPT, RING, SERIES

FEW = 500
"""So many series are one piece."""
ALL = "all"
SLOTS, PLACES, INTERVALS = 12, 10, 3
"""How many slots of a season, places of a level and intervals are one group."""

Group = tuple[tuple[str, slice], ...]
"""Names of arrays, and which part of the last axis of each."""


@cache
def groups(n: int) -> Mapping[str, Group]:
    """How so many series are cut."""
    if n < FEW:
        return {ALL: tuple((name, slice(None)) for name in SERIES)}
    found: dict[str, Group] = {}
    for name, n_slots, _ in SEASONS:
        for at in range(0, n_slots, SLOTS):
            found[f"{name}{at}"] = ((name, slice(at, at + SLOTS)), (f"n_{name}", slice(at, at + SLOTS)))
    for at in range(0, LONGEST, PLACES):
        found[f"last{at}"] = (("last", slice(at, at + PLACES)),)
    for at in range(0, KEPT, INTERVALS):
        found[f"ring{at}"] = tuple((name, slice(at, at + INTERVALS)) for name in RING)
    ringed = {name for group in found.values() for name, _ in group}
    return {**found, "now": tuple((name, slice(None)) for name in SERIES if name not in ringed)}


def same(its: Arrays, other: Arrays, group: Group) -> bool:
    """Whether a group stands in both alike."""
    return all(np.array_equal(_part(its, *part), _part(other, *part), equal_nan=its[part[0]].dtype.kind == "f") for part in group)


def cut(its: Arrays, group: Group) -> pl.DataFrame:
    """A group as it is kept."""
    return pl.DataFrame(list(_columns(its, group)))


def put(its: Arrays, group: Group, kept: pl.DataFrame) -> None:
    """Write what was kept of a group where it belongs."""
    for name, part in group:
        where = _part(its, name, part)
        where[...] = kept[name].to_numpy().reshape(where.shape)


def _part(its: Arrays, name: str, part: slice) -> "np.ndarray[tuple[int, ...], np.dtype[np.generic]]":
    array = its[name]
    return array if array.ndim == 1 else array[..., part]


def _columns(its: Arrays, group: Group) -> Iterator[pl.Series]:
    for name, part in group:
        array = np.ascontiguousarray(_part(its, name, part))
        yield pl.Series(name, array if array.ndim == 1 else array.reshape(len(array), math.prod(array.shape[1:])))
