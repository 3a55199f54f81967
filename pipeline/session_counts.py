"""What visits add to the counts: that they began, the steps they reached, the waits for an order that began with them, and what came of these.

Frames:  Told, its SIGNALS and OUTCOMES -> rollups.CONTRIBUTIONS
Cases:   a bot -> nothing | a visit with two journeys -> it waits in the one that got furthest, as its row of `outcomes` says
"""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from pipeline.attribution import ORDER_AFTER_COMMIT
from pipeline.count_rules import Cut
from pipeline.journey_map import step_table
from pipeline.rollups import interval_of, measured
from pipeline.session_rules import SessionRules
from pipeline.session_views import Told
from pipeline.watermark import milliseconds


def contributions(told: Told, facts: Mapping[str, pl.DataFrame], rules: SessionRules) -> pl.DataFrame:
    """What these sessions add to the counts. Frames: Told, its SIGNALS and OUTCOMES -> CONTRIBUTIONS."""
    segment = ["partition", "site", *rules.dimensions]
    interval = interval_of("ms", rules.interval)
    sessions = told.sessions.select(*segment, "is_bot", "status", "journey_no", pl.col("first_ms").alias("ms"))
    steps = pl.concat(
        [
            told.steps.select(pl.col("first_ms").alias("ms"), pl.col("journey_no").alias("no"), "step"),
            sessions.drop("ms")[told.steps["group"].to_numpy()],
        ],
        how="horizontal",
    )
    # Counted by number first: names are looked up for what is left.
    reached = (
        steps.filter(~pl.col("is_bot"))
        .group_by(
            *segment,
            interval,
            pl.col("no").alias("journey_no"),
            "step",
            (pl.col("status") == "converted") & (pl.col("journey_no") == pl.col("no")),
        )
        .agg(pl.len().cast(pl.Int64).alias("n"))
        .join(step_table(rules.journeys), on=["journey_no", "step"])
        .drop("step")
        .rename({"step_name": "step"})
    )
    people = sessions.filter(~pl.col("is_bot")).group_by(*segment, interval).agg(pl.len().cast(pl.Int64).alias("n"))
    began = _began(told, sessions, rules)
    over_ms = milliseconds(rules.interval + rules.allowed_lateness)
    decided_ms = over_ms + milliseconds(rules.gap)
    parts = [
        (people, "sessions", over_ms),
        (reached, "reached", over_ms),
        (reached.filter("status", pl.col("is_goal") == 1), "converted", over_ms),
        (began, "began", decided_ms),
        (began.filter("is_met"), "met", decided_ms),
        *(
            (
                facts[table]
                .with_columns(pl.col(at).cast(pl.Int64).alias("ms"), pl.lit(1, dtype=pl.Int64).alias("n"))
                .with_columns(interval),
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


def contributed(told: Told, facts: Mapping[str, pl.DataFrame], rules: SessionRules, others: Mapping[int, Cut]) -> pl.DataFrame:
    """What these sessions have added; `others`: how counts are cut that were cut otherwise. Frames: Told, its SIGNALS and OUTCOMES -> CONTRIBUTIONS."""
    found = contributions(told, facts, rules)
    if not others:
        return found
    parts = [found.filter(~pl.col("partition").is_in([*others]))]
    for dimensions in {cut.dimensions for cut in others.values() if cut.interval == rules.interval}:
        where = [at for at, cut in others.items() if cut == Cut(rules.interval, dimensions)]
        cut_so = contributions(told, facts, replace(rules, dimensions=dimensions))
        parts.append(cut_so.filter(pl.col("partition").is_in(where)))
    return pl.concat(parts)


def _began(told: Told, sessions: pl.DataFrame, rules: SessionRules) -> pl.DataFrame:
    """The waits for an order after the commit step, and those that were met. Frames: -> some columns of CONTRIBUTIONS, `is_met`."""
    journeys = (
        step_table(rules.journeys)
        .filter(pl.col("is_commit") == 1)
        .select("journey_no", "journey", pl.col("step_name").alias("step"))
    )
    waits = told.commits.select(pl.col("journey_no").alias("no"), "ms").hstack(
        sessions.drop("ms")[told.commits["group"].to_numpy()]
    )
    return (
        waits.filter(~pl.col("is_bot"), pl.col("journey_no") == pl.col("no"))
        .group_by(
            "partition",
            "site",
            *rules.dimensions,
            interval_of("ms", rules.interval),
            "journey_no",
            (pl.col("status") == "converted").alias("is_met"),
        )
        .agg(pl.len().cast(pl.Int64).alias("n"))
        .join(journeys, on="journey_no")
        .with_columns(pl.lit(ORDER_AFTER_COMMIT).alias("expectation"))
    )
