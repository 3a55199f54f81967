"""The counts of many intervals, summed for every segment that is seen: `step = payment`, `device = mobile`, both, neither.

Frames:  COUNTED of a family, `from_ms` -> arrays, a row an interval, a column a segment
Cases:   a count that does not say the device -> counts for all devices, and for no one of them
         a series that is known and of which nothing was counted -> n is 0, where there is anything to count it of
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from pipeline.many_baselines import Flags, Floats
from pipeline.spike_counts import CONDITIONS, COUNTS_OF, DIMENSIONS, EXITS, FRICTION, IDENTITY, SUBJECT

WHOLE = {FRICTION: DIMENSIONS, EXITS: ("journey", "step", *DIMENSIONS)}
"""Rule -> what tells what counts are held against; of the others `OF_WAITS`."""
OF_WAITS = ("journey", "expectation", *DIMENSIONS)


@dataclass(frozen=True)
class Cells:
    """Some intervals of a family."""

    segments: pl.DataFrame
    """Columns: first those that were known, in their order, then all others that are seen in any of these intervals, sorted. Frames: IDENTITY."""
    n: Floats
    n_of: Floats
    is_seen: Flags
    """Whether something was counted: a segment is new in the first interval in which it is seen."""


def cells(counts: pl.DataFrame, intervals: Sequence[int], rule: str, known: pl.DataFrame, next_steps: pl.DataFrame) -> Cells:
    """Of these intervals, which must be all that `counts` are of.

    Frames: COUNTED, `from_ms`; IDENTITY; journey, step, next_step
    """
    what, of = COUNTS_OF[rule]
    whole = list(WHOLE.get(rule, OF_WAITS))
    n_of = _summed(counts.filter(pl.col("measure") == of), [name for name in whole if name not in DIMENSIONS], DIMENSIONS)
    if rule == EXITS:
        n = _exits(n_of, next_steps)
    else:
        n = _summed(counts.filter(pl.col("measure") == what), SUBJECT, CONDITIONS).filter(pl.col("n") > 0)
    ids = list(IDENTITY)
    seen = n.select(ids).unique()
    segments = pl.concat([known.select(ids), seen.join(known, on=ids, how="anti").sort(ids)])
    wholes = segments.select(whole).unique()
    its_whole = segments.join(wholes.with_row_index("place"), on=whole, how="left", maintain_order="left")["place"].to_numpy()
    counted, is_seen = _laid(n, segments, intervals)
    counted_of, _ = _laid(n_of, wholes, intervals)
    return Cells(segments, counted, counted_of[:, its_whole], is_seen)


def _laid(sums: pl.DataFrame, columns: pl.DataFrame, intervals: Sequence[int]) -> tuple[Floats, Flags]:
    """Sums laid out, and where there is any."""
    on = columns.columns
    placed = sums.join(columns.with_row_index("place"), on=on)
    where = np.searchsorted(np.array(intervals), placed["from_ms"].to_numpy()), placed["place"].to_numpy()
    n, is_there = np.zeros((len(intervals), columns.height)), np.zeros((len(intervals), columns.height), dtype=bool)
    n[where], is_there[where] = placed["n"].to_numpy(), True
    return n, is_there


def _exits(reached: pl.DataFrame, next_steps: pl.DataFrame) -> pl.DataFrame:
    """Those who reached a step and not the next one, never below 0."""
    went_on = reached.rename({"step": "next_step", "n": "n_next"})
    return (
        reached.join(next_steps, on=["journey", "step"])
        .join(went_on, on=["from_ms", "journey", "next_step", *DIMENSIONS], how="left")
        .with_columns(
            (pl.col("n") - pl.col("n_next").fill_null(0)).clip(lower_bound=0),
            pl.lit("").alias("expectation"),
            pl.lit("").alias("signal"),
        )
    )


def _summed(counts: pl.DataFrame, by: Sequence[str], conditions: Sequence[str]) -> pl.DataFrame:
    """Sums over all subsets of these conditions, of each interval."""
    by = ["from_ms", *by]
    leaves = counts.group_by(*by, *conditions).agg(pl.col("n").sum())
    used = [name for name in conditions if (leaves[name] != "").any()]
    parts = []
    for some in _subsets(used):
        others = [pl.lit("").alias(name) for name in conditions if name not in some]
        parts.append(leaves.filter(*(pl.col(name) != "" for name in some)).with_columns(others))
    return pl.concat(parts).group_by(*by, *conditions).agg(pl.col("n").sum())


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(len(names) + 1):
        yield from combinations(names, size)
