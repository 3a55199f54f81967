"""What explains a lapse best: the signal or the earlier lapse that weighs most at the time at which it lapsed. Nothing is learned.

A candidate must be about the same thing: the same visit, order or ticket; for a lapse of a person as such, anything of that person. It weighs what it adds to
a friction score, with exceptions, less the older it is, more if it stood in the way at the very step.

Frames:  PERSON + LAPSE, PERSON + SIGNAL -> a row a lapse that has a cause: `row`, `cause`, `cause_id`
Time:    a candidate lies between a while before the wait began and the lapse; another lapse strictly before it, so that no two explain each other
Cases:   equal scores -> the later one, a signal before a lapse, then by name and id | no candidate -> no cause
Source:  DESIGN 4; DECISIONS.md on causes
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from pipeline.watermark import milliseconds

DAY = timedelta(days=1)

ORDER_AFTER_COMMIT = "order_after_commit"
"""The expectation that an abandoned session has disappointed; its lapses are about a visit."""


_POINTS = {
    **dict.fromkeys(("form_abandoned", "payment_retried", "hard_reorder"), 0.0),
    **dict.fromkeys(("low_csat", "low_ces", "low_nps", "negative_words"), 0.0),
    "page_error": 9.0,
    "delivered_by_promise": 25.0,
    **dict.fromkeys(("first_scan_after_shipping", "next_scan_after_scan", "notice_of_moved_date"), 10.0),
}


@dataclass(frozen=True)
class Attribution:
    """The numbers of the rule, and why they are so; tests/accuracy says how often it is right."""

    lookback: timedelta = DAY
    """How long before the wait began a candidate may lie: a payment that failed yesterday still keeps somebody from paying today. Where it is about a person, a
    candidate lies after the start of the wait: whoever ordered since has forgiven."""
    visit_half_life: timedelta = timedelta(seconds=5)
    """Age at which a candidate weighs half, in a visit: people leave a page because of what is on it. So the last one counts, and the heavier of those that come
    within seconds."""
    half_life: timedelta = DAY
    """The same for orders and tickets."""
    person_half_life: timedelta = 30 * DAY
    """The same for persons, who are awaited for months: what weighs more counts, and of equals the later."""
    lapse_weight: float = 20.0
    """What an earlier lapse weighs, in points of a friction score: as much as most signals."""
    points: Mapping[str, float] = field(default_factory=lambda: _POINTS)
    """Signal or expectation -> what it weighs, where that is not what it adds to a friction score; 0: it explains nothing.

    What customers do, and how they say that it felt, has a cause and is none (a form left, a payment sent again, a low score, angry words). An error of the page is
    told beside the click that it answered, which says more. A late parcel is seen by the customer; that nobody scanned it, or told of the new date, by few."""
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
        .then(pl.col("began_at").to_physical())
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
    every = pl.concat(
        [
            signals.select(
                *about,
                *place,
                pl.col("fired_at").to_physical().alias("ms"),
                _points("signal", pl.col("weight").fill_null(0.0), rule),
                pl.lit(value=False).alias("is_lapse"),
                pl.col("signal").alias("cause"),
                pl.col("signal_id").alias("cause_id"),
            ),
            lapses.select(
                *about,
                *place,
                pl.col("lapsed_at").to_physical().alias("ms"),
                _points("expectation", pl.lit(rule.lapse_weight), rule),
                pl.lit(value=True).alias("is_lapse"),
                pl.col("expectation").alias("cause"),
                pl.col("outcome_id").alias("cause_id"),
            ),
        ]
    )
    return every.filter(pl.col("weight") > 0)


def _points(name: str, otherwise: pl.Expr, rule: Attribution) -> pl.Expr:
    return pl.col(name).replace_strict(rule.points, default=otherwise, return_dtype=pl.Float64).alias("weight")


def _pairs(told: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """Every lapse with every candidate that is about the same thing; with some of them twice."""
    ones = told.filter(~pl.col("is_persons"))
    found = [
        told.filter("is_persons").join(candidates, on="person", suffix="_met"),
        # A null joins nothing. What went wrong in a ticket came after the visit from which it was opened.
        ones.join(candidates, on=["person", "order_id"], suffix="_met"),
        ones.join(candidates, on=["person", "ticket_id"], suffix="_met"),
        ones.join(candidates.filter(pl.col("ticket_id").is_null()), on=["person", "visitor_id", "session_id"], suffix="_met"),
    ]
    wanted = ("row", "journey", "step", "lapsed_ms", "since_ms", "half_life_ms")
    met = ("journey_met", "step_met", "ms", "weight", "is_lapse", "cause", "cause_id")
    return pl.concat([pairs.select(*wanted, *met) for pairs in found])
