"""The counts of an interval, summed for every segment that is seen: `step = payment`, `device = mobile`, both, neither.

Frames:  COUNTED of a family and interval -> IDENTITY, n, n_of
Cases:   a count that does not say the device -> counts for all devices, and for no one of them
         a series that is known and of which nothing was counted -> n is 0, where there is anything to count it of
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import polars as pl

from pipeline.spike_counts import CONDITIONS, COUNTS_OF, DIMENSIONS, EXITS, FRICTION, IDENTITY, SUBJECT

WHOLE = {FRICTION: DIMENSIONS, EXITS: ("journey", "step", *DIMENSIONS)}
"""Rule -> what tells what counts are held against; of the others `OF_WAITS`."""
OF_WAITS = ("journey", "expectation", *DIMENSIONS)


def cells(counts: pl.DataFrame, rule: str, known: pl.DataFrame, next_steps: pl.DataFrame) -> pl.DataFrame:
    """Every segment of which anything could be counted: first those that are known, in their order, then new ones.

    Frames: COUNTED; IDENTITY; journey, step, next_step -> IDENTITY, n, n_of
    """
    what, of = COUNTS_OF[rule]
    whole = WHOLE.get(rule, OF_WAITS)
    n_of = _summed(counts.filter(pl.col("measure") == of), [name for name in whole if name not in DIMENSIONS], DIMENSIONS).rename(
        {"n": "n_of"}
    )
    if rule == EXITS:
        n = _exits(n_of, next_steps)
    else:
        n = _summed(counts.filter(pl.col("measure") == what), SUBJECT, CONDITIONS).filter(pl.col("n") > 0)
    ids = list(IDENTITY)
    fresh = n.join(known, on=ids, how="anti").select(ids).sort(ids)
    return (
        pl.concat([known.select(ids), fresh])
        .join(n.select(*ids, "n"), on=ids, how="left", maintain_order="left")
        .join(n_of, on=list(whole), how="left", maintain_order="left")
        .with_columns(pl.col("n").fill_null(0), pl.col("n_of").fill_null(0))
    )


def _exits(reached: pl.DataFrame, next_steps: pl.DataFrame) -> pl.DataFrame:
    """Those who reached a step and not the next one, never below 0."""
    went_on = reached.rename({"step": "next_step", "n_of": "n_next"})
    return (
        reached.join(next_steps, on=["journey", "step"])
        .join(went_on, on=["journey", "next_step", *DIMENSIONS], how="left")
        .with_columns(
            (pl.col("n_of") - pl.col("n_next").fill_null(0)).clip(lower_bound=0).alias("n"),
            pl.lit("").alias("expectation"),
            pl.lit("").alias("signal"),
        )
    )


def _summed(counts: pl.DataFrame, by: Sequence[str], conditions: Sequence[str]) -> pl.DataFrame:
    """Sums over all subsets of these conditions."""
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
