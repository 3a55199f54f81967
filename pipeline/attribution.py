"""What explains a lapse best: the signal or the earlier lapse that weighs most at the time at which it lapsed. Nothing is learned.

A candidate must be about the same thing: the same visit, order or ticket; for a lapse of a person as such, anything of that person. It weighs what it adds to
a friction score, less the older it is, more if it stood in the way at the very step.

Frames:  PERSON + LAPSE, PERSON + SIGNAL -> a row a lapse that has a cause: `row`, `cause`, `cause_id`
Time:    a candidate lies between a while before the wait began and the lapse; another lapse strictly before it, so that no two explain each other
Cases:   equal scores -> the later one, a signal before a lapse, then by name and id | no candidate -> no cause
Source:  DESIGN 4; DECISIONS.md on causes
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.watermark import milliseconds

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

ORDER_AFTER_COMMIT = "order_after_commit"
"""The expectation that an abandoned session has disappointed; its lapses are about a visit."""


@dataclass(frozen=True)
class Attribution:
    """The numbers of the rule, and why they are so."""

    lookback: timedelta = DAY
    """How long before the wait began a candidate may lie: a payment that failed yesterday still keeps somebody from paying today."""
    person_lookback: timedelta = 120 * DAY
    """How long before the lapse, where it is about a person: as long as the longest wait for an order."""
    visit_half_life: timedelta = 15 * MINUTE
    """Age at which a candidate weighs half, in a visit: people leave a page because of what is on it."""
    half_life: timedelta = DAY
    """The same for orders and tickets."""
    person_half_life: timedelta = 7 * DAY
    """The same for persons, who decide in weeks."""
    lapse_weight: float = 30.0
    """What an earlier lapse weighs, in points of a friction score: as much as the heaviest signals."""
    at_own_step: float = 1.5
    """Factor for what happened at the step at which the lapse is."""


def causes(lapses: pl.DataFrame, signals: pl.DataFrame, rule: Attribution, of_persons: Collection[str] = ()) -> pl.DataFrame:
    """The best candidate of each lapse that has one; `row` is its place; `of_persons`: expectations that are not about one thing, but a person. Frames: -> `row`, `cause`, `cause_id`."""
    is_persons = pl.col("expectation").is_in(of_persons)
    told = lapses.with_row_index("row").select(
        "row",
        "person",
        "visitor_id",
        "session_id",
        "order_id",
        "ticket_id",
        "journey",
        "step",
        pl.col("lapsed_at").to_physical().alias("lapsed_ms"),
        pl.when(is_persons)
        .then(pl.col("lapsed_at").to_physical() - milliseconds(rule.person_lookback))
        .otherwise(pl.col("began_at").to_physical() - milliseconds(rule.lookback))
        .alias("since_ms"),
        pl.when(is_persons)
        .then(milliseconds(rule.person_half_life))
        .when(pl.col("expectation") == ORDER_AFTER_COMMIT)
        .then(milliseconds(rule.visit_half_life))
        .otherwise(milliseconds(rule.half_life))
        .alias("half_life_ms"),
        is_persons.alias("is_persons"),
        "outcome_id",
    )
    pairs = _pairs(told, _candidates(lapses, signals, rule)).filter(
        pl.col("ms") > pl.col("since_ms"),
        (pl.col("ms") < pl.col("lapsed_ms")) | ((pl.col("ms") == pl.col("lapsed_ms")) & ~pl.col("is_lapse")),
    )
    is_at_step = (pl.col("journey") == pl.col("journey_met")) & (pl.col("step") == pl.col("step_met"))
    age = (pl.col("lapsed_ms") - pl.col("ms")) / pl.col("half_life_ms")
    factor = pl.when(is_at_step.fill_null(value=False)).then(rule.at_own_step).otherwise(1.0)
    return (
        pairs.with_columns((pl.col("weight") * pl.lit(0.5).pow(age) * factor).alias("score"))
        .sort("row", "score", "ms", "is_lapse", "cause", "cause_id", descending=[False, True, True, False, False, False])
        .unique("row", keep="first", maintain_order=True)
        .select("row", "cause", "cause_id")
    )


def _candidates(lapses: pl.DataFrame, signals: pl.DataFrame, rule: Attribution) -> pl.DataFrame:
    """Signals and lapses alike. Frames: -> what a lapse is held against, with `ms`, `weight`, `cause`, `cause_id`."""
    about = ("person", "visitor_id", "session_id", "order_id", "ticket_id")
    place = (pl.col("journey").alias("journey_met"), pl.col("step").alias("step_met"))
    return pl.concat(
        [
            signals.select(
                *about,
                *place,
                pl.col("fired_at").to_physical().alias("ms"),
                pl.col("weight").fill_null(0.0),
                pl.lit(value=False).alias("is_lapse"),
                pl.col("signal").alias("cause"),
                pl.col("signal_id").alias("cause_id"),
            ),
            lapses.select(
                *about,
                *place,
                pl.col("lapsed_at").to_physical().alias("ms"),
                pl.lit(rule.lapse_weight).alias("weight"),
                pl.lit(value=True).alias("is_lapse"),
                pl.col("expectation").alias("cause"),
                pl.col("outcome_id").alias("cause_id"),
            ),
        ]
    )


def _pairs(told: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """Every lapse with every candidate that is about the same thing; with some of them twice."""
    ones = told.filter(~pl.col("is_persons"))
    found = [told.filter("is_persons").join(candidates, on="person", suffix="_met")]
    same = (("order_id",), ("ticket_id",), ("visitor_id", "session_id"))  # a null joins nothing
    found += [ones.join(candidates, on=["person", *names], suffix="_met") for names in same]
    wanted = ("row", "journey", "step", "lapsed_ms", "since_ms", "half_life_ms")
    met = ("journey_met", "step_met", "ms", "weight", "is_lapse", "cause", "cause_id")
    return pl.concat([pairs.select(*wanted, *met) for pairs in found])
