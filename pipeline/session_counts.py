"""What visits add to the counts: that they began, the steps they reached, the waits for an order that began with them, and what came of these.

Frames:  Told, its SIGNALS and OUTCOMES -> rollups.CONTRIBUTIONS
Cases:   a bot -> nothing | a visit with two journeys -> it waits in the one that got furthest, as its row of `outcomes` says
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from pipeline.attribution import ORDER_AFTER_COMMIT
from pipeline.count_rules import Cut
from pipeline.journey_map import step_table
from pipeline.rollups import interval_of, measured
from pipeline.session_rules import SessionRules
from pipeline.session_views import Told
from pipeline.watermark import milliseconds


@dataclass(frozen=True)
class Side:
    """Some sessions and what they add, or take away."""

    n: int
    """1: they count; -1: they count no more."""
    told: Told
    facts: Mapping[str, pl.DataFrame]
    """Their rows of SIGNALS and OUTCOMES."""


def change(before: Side, after: Side, rules: SessionRules, others: Mapping[int, Cut]) -> pl.DataFrame:
    """What is added to the counts; `others`: of partitions that were cut otherwise, how. Frames: -> CONTRIBUTIONS."""
    if not others:
        return contributions((before, after), rules)
    was_cut_so = contributions((before,), rules).filter(~pl.col("partition").is_in([*others]))
    parts = [was_cut_so, contributions((after,), rules)]
    for dimensions in {cut.dimensions for cut in others.values() if cut.interval == rules.interval}:
        where = [at for at, cut in others.items() if cut == Cut(rules.interval, dimensions)]
        was = contributions((before,), replace(rules, dimensions=dimensions))
        parts.append(was.filter(pl.col("partition").is_in(where)))
    return pl.concat(parts)


def contributions(sides: Sequence[Side], rules: SessionRules) -> pl.DataFrame:
    """What these sessions add to the counts, or take away. Frames: -> CONTRIBUTIONS."""
    segment = ["partition", "site", *rules.dimensions]
    interval = interval_of("ms", rules.interval)
    columns = [*segment, "is_bot", "status", "journey_no"]
    sessions = pl.concat([side.told.sessions.select(*columns, pl.col("first_ms").alias("ms"), _n(side)) for side in sides])
    its = pl.col("first_ms").alias("ms"), pl.col("journey_no").alias("no"), "step"
    steps = _with_sessions([side.told.steps.select("group", *its) for side in sides], sides, sessions)
    # Counted by number first: names are looked up for what is left.
    is_converted = (pl.col("status") == "converted") & (pl.col("journey_no") == pl.col("no"))
    reached = (
        _summed(steps, *segment, interval, pl.col("no").alias("journey_no"), "step", is_converted)
        .join(step_table(rules.journeys), on=["journey_no", "step"])
        .drop("step")
        .rename({"step_name": "step"})
    )
    began = _began(sides, sessions, rules)
    over_ms = milliseconds(rules.interval + rules.allowed_lateness)
    decided_ms = over_ms + milliseconds(rules.gap)
    parts = [
        (_summed(sessions, *segment, interval), "sessions", over_ms),
        (reached, "reached", over_ms),
        (reached.filter("status", pl.col("is_goal") == 1), "converted", over_ms),
        (began, "began", decided_ms),
        (began.filter("is_met"), "met", decided_ms),
        *(
            (
                pl.concat(
                    [side.facts[table].with_columns(pl.col(at).cast(pl.Int64).alias("ms"), _n(side)) for side in sides]
                ).with_columns(interval),
                measure,
                after_ms,
            )
            for table, at, measure, after_ms in (
                ("outcomes", "began_at", "abandoned", decided_ms),
                ("signals", "fired_at", "signals", over_ms),
            )
        ),
    ]
    matures = pl.col("interval_ms")
    return pl.concat(
        measured(rows.with_columns((matures + after_ms).alias("matures_ms"), pl.lit(measure).alias("measure")), rules.dimensions)
        for rows, measure, after_ms in parts
    )


def _began(sides: Sequence[Side], sessions: pl.DataFrame, rules: SessionRules) -> pl.DataFrame:
    """The waits for an order after the commit step, and those that were met. Frames: -> some columns of CONTRIBUTIONS, `is_met`."""
    journeys = (
        step_table(rules.journeys)
        .filter(pl.col("is_commit") == 1)
        .select("journey_no", "journey", pl.col("step_name").alias("step"))
    )
    commits = [side.told.commits.select("group", pl.col("journey_no").alias("no"), "ms") for side in sides]
    waits = _with_sessions(commits, sides, sessions).filter(pl.col("journey_no") == pl.col("no"))
    is_met = (pl.col("status") == "converted").alias("is_met")
    return (
        _summed(waits, "partition", "site", *rules.dimensions, interval_of("ms", rules.interval), "journey_no", is_met)
        .join(journeys, on="journey_no")
        .with_columns(pl.lit(ORDER_AFTER_COMMIT).alias("expectation"))
    )


def _n(side: Side) -> pl.Expr:
    return pl.lit(side.n, dtype=pl.Int64).alias("n")


def _with_sessions(rows: Sequence[pl.DataFrame], sides: Sequence[Side], sessions: pl.DataFrame) -> pl.DataFrame:
    """What belongs to sessions (by `group`) beside them, of all sides."""
    begins = np.cumsum([0, *(side.told.sessions.height for side in sides[:-1])])
    places = np.concatenate([each["group"].to_numpy() + begin for each, begin in zip(rows, begins, strict=True)])
    return pl.concat([pl.concat(rows), sessions.drop("ms")[places]], how="horizontal")


def _summed(rows: pl.DataFrame, *by: str | pl.Expr) -> pl.DataFrame:
    """Of people, by something; what has not changed is none."""
    return rows.filter(~pl.col("is_bot")).group_by(*by).agg(pl.col("n").sum()).filter(pl.col("n") != 0)
