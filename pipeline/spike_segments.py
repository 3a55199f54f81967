"""The counts of many intervals of many families, summed for every segment that is seen: `step = payment`, `device = mobile`, both, neither.

Frames:  COUNTED, `family`, `from_ms` -> of each family arrays, a row an interval, a column a segment
Cases:   a count that does not say the device -> counts for all devices, and for no one of them
         a series that is known and of which nothing was counted -> n is 0, where there is anything to count it of
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from pipeline.frames import schema
from pipeline.many_baselines import Flags, Floats
from pipeline.spike_counts import CONDITIONS, COUNTS_OF, DIMENSIONS, EXITS, FRICTION, IDENTITY, SUBJECT

WHOLE = {FRICTION: DIMENSIONS, EXITS: ("journey", "step", *DIMENSIONS)}
"""Rule -> what tells what counts are held against; of the others `OF_WAITS`."""
OF_WAITS = ("journey", "expectation", *DIMENSIONS)


RIPE = schema({"family": pl.Int64, "from_ms": pl.Int64})
"""Intervals of families, in order."""
_PLACE = pl.int_range(pl.len()).over("family")
_ROW, _COLUMN = _PLACE.alias("row"), _PLACE.alias("column")


@dataclass(frozen=True)
class Cells:
    """Some intervals of a family."""

    from_ms: Sequence[int]
    segments: pl.DataFrame
    """Columns: first those that were known, in their order, then all others that are seen in any of these intervals, sorted. Frames: IDENTITY."""
    n: Floats
    n_of: Floats
    is_seen: Flags
    """Whether something was counted: a segment is new in the first interval in which it is seen."""


def cells(
    counts: pl.DataFrame, ripe: pl.DataFrame, rule: str, known: pl.DataFrame, next_steps: pl.DataFrame
) -> Iterator[tuple[int, Cells]]:
    """Of each family. Frames: COUNTED, `family`, `from_ms`; RIPE; IDENTITY, `family`; journey, step, next_step."""
    what, of = COUNTS_OF[rule]
    whole, ids = list(WHOLE.get(rule, OF_WAITS)), ["family", *IDENTITY]
    used = [name for name in CONDITIONS if (counts[name] != "").any()]
    its = counts.join(ripe.with_columns(_ROW), on=["family", "from_ms"])
    beside = [name for name in whole if name not in DIMENSIONS]
    n_of = _summed(its.filter(pl.col("measure") == of), beside, DIMENSIONS, used)
    if rule == EXITS:
        n = _exits(n_of, next_steps)
    else:
        n = _summed(its.filter(pl.col("measure") == what), SUBJECT, CONDITIONS, used).filter(pl.col("n") > 0)
    fresh = n.select(ids).unique().join(known, on=ids, how="anti").sort(ids)
    segments = pl.concat([known.select(ids), fresh]).sort("family", maintain_order=True).with_columns(_COLUMN)
    wholes = segments.select("family", *whole).unique(maintain_order=True).with_columns(_COLUMN)
    on = ["family", *whole]
    columns = segments.join(wholes, on=on, how="left", maintain_order="left", suffix="_of")
    parts = n.join(segments, on=ids).partition_by("family", as_dict=True)
    parts_of = n_of.join(wholes, on=on).partition_by("family", as_dict=True)
    intervals = ripe.partition_by("family", as_dict=True)
    for family, mine in columns.partition_by("family", maintain_order=True, as_dict=True).items():
        all_from_ms, column = intervals[family]["from_ms"].to_list(), mine["column_of"].to_numpy()
        counted, is_seen = _laid(parts.get(family), len(all_from_ms), mine.height)
        counted_of, _ = _laid(parts_of.get(family), len(all_from_ms), int(column.max()) + 1)
        yield family[0], Cells(all_from_ms, mine.select(IDENTITY), counted, counted_of[:, column], is_seen)


def _laid(sums: pl.DataFrame | None, height: int, width: int) -> tuple[Floats, Flags]:
    """Sums as an array, and where there is any."""
    n, is_there = np.zeros((height, width)), np.zeros((height, width), dtype=bool)
    if sums is not None:
        where = sums["row"].to_numpy(), sums["column"].to_numpy()
        n[where], is_there[where] = sums["n"].to_numpy(), True
    return n, is_there


def _exits(reached: pl.DataFrame, next_steps: pl.DataFrame) -> pl.DataFrame:
    """Those who reached a step and not the next one, never below 0."""
    went_on = reached.rename({"step": "next_step", "n": "n_next"})
    return (
        reached.join(next_steps, on=["journey", "step"])
        .join(went_on, on=["family", "row", "journey", "next_step", *DIMENSIONS], how="left")
        .with_columns(
            (pl.col("n") - pl.col("n_next").fill_null(0)).clip(lower_bound=0),
            pl.lit("").alias("expectation"),
            pl.lit("").alias("signal"),
        )
    )


def _summed(counts: pl.DataFrame, by: Sequence[str], conditions: Sequence[str], used: Sequence[str]) -> pl.DataFrame:
    """Sums of each interval over all subsets of these conditions; those that are not used are '' everywhere."""
    by = ["family", "row", *by]
    leaves = counts.group_by(*by, *conditions).agg(pl.col("n").sum())
    parts = []
    for some in _subsets([name for name in conditions if name in used]):
        others = [pl.lit("").alias(name) for name in conditions if name not in some]
        parts.append(leaves.filter(*(pl.col(name) != "" for name in some)).with_columns(others))
    return pl.concat(parts).group_by(*by, *conditions).agg(pl.col("n").sum())


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(len(names) + 1):
        yield from combinations(names, size)
