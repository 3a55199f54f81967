"""What really happened: one row a visit, one row a planted friction.

Everything here comes from what the customers decided (pages opened, friction planted, why they went), never from looking at events for
a pattern.

Frames:  TRODDEN, told happenings, VISITS -> TRUTH, FRICTIONS
Cases:   saw the cart and did not buy: left | bought: converted, however it went on | saw no cart: neither
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from pipeline.simulator.columns import TIME, schema
from pipeline.simulator.draws import Bools, Ints
from pipeline.simulator.friction import KINDS, NEVER
from pipeline.simulator.pages import PATHS, STEP_OF_KIND, STEPS
from pipeline.simulator.shops import Shop

TRUTH = schema(
    {
        "visit_id": pl.String, "site": pl.String, "visitor_id": pl.String, "session_id": pl.String, "customer_id": pl.String,
        "is_bot": pl.Boolean, "started_at": TIME, "ended_at": TIME, "n_events": pl.Int64, "first_event_id": pl.String,
        "reached": pl.List(pl.String), "furthest_step": pl.String, "converted": pl.Boolean, "left": pl.Boolean, "left_at_step": pl.String,
        "because": pl.String, "ended_by": pl.String, "met": pl.List(pl.String),
    }
)  # fmt: skip
"""`visit_id`: unique. `session_id`: null where the visitor sends none. `customer_id`: who logged in or was remembered, else null.
`started_at`, `ended_at`: first and last event. `n_events`: each counted once, copies not at all. `reached`: steps, in the order of buying.
`furthest_step`, `left_at_step`: '' if none. `left`: had something in the cart and did not buy. `because`: why somebody left: a kind of friction, 'no_reason',
or '' for who did not leave. `ended_by`: the kind of friction that ended the visit, cart or no cart, else ''. `met`: kinds of friction met, first met first."""

FRICTIONS = schema(
    {
        "visit_id": pl.String, "site": pl.String, "visitor_id": pl.String, "session_id": pl.String, "is_bot": pl.Boolean, "kind": pl.String,
        "began_at": TIME, "at": TIME, "n_events": pl.Int64, "page": pl.String, "element": pl.String, "event_id": pl.String, "made_leave": pl.Boolean,
    }
)  # fmt: skip
"""`began_at`, `at`: first and last of the `n_events` events that make it; `event_id`: that of the last. `element`: the button clicked, the form refused,
the vital that was poor, the message of the error. `made_leave`: the customer went because of this one."""

NO_REASON = "no_reason"
CART = STEPS.index("cart")
PURCHASED = STEPS.index("purchased")


def frictions(told: pl.DataFrame, opened: pl.DataFrame, meant: pl.DataFrame, shops: Sequence[Shop]) -> pl.DataFrame:
    """Every planted friction, with the events that make it. Frames: -> FRICTIONS."""
    planted = (
        told.filter(pl.col("planted").is_not_null())
        .group_by("page", "planted", maintain_order=True)
        .agg(
            pl.col("at_ms").first().alias("began_ms"),
            pl.col("at_ms").last(),
            pl.len().cast(pl.Int64).alias("n_events"),
            pl.coalesce("element", "form", "metric", "message").first().alias("element"),
            pl.col("event_id").last(),
        )
    )
    page = planted["page"].to_numpy()
    ended_by = strings_of(opened["ended_by"].gather(planted["page"]).to_numpy())
    whose = _whose(meant, shops)[opened["visit"].gather(planted["page"])]
    return planted.with_columns(
        *whose,
        pl.col("planted").alias("kind"),
        _time("began_ms").alias("began_at"),
        _time("at_ms").alias("at"),
        PATHS.gather(opened["path"].to_numpy()[page]).alias("page"),
        (pl.col("planted") == ended_by).alias("made_leave"),
    ).select(FRICTIONS.names())


def truth(
    told: pl.DataFrame, opened: pl.DataFrame, meant: pl.DataFrame, shops: Sequence[Shop], planted: pl.DataFrame
) -> pl.DataFrame:
    """What became of every visit. Frames: -> TRUTH, in the order of VISITS."""
    reached = _reached(opened, meant.height)
    furthest = np.where(reached.any(axis=1), len(STEPS) - 1 - reached[:, ::-1].argmax(axis=1), len(STEPS))
    converted = reached[:, PURCHASED]
    left = reached[:, CART] & ~converted
    ended = np.full(meant.height, -1)
    np.maximum.at(ended, opened["visit"].to_numpy(), opened["ended_by"].to_numpy())
    ended_by = strings_of(ended)
    step = pl.Series([*STEPS, ""]).gather(furthest)
    met = planted.group_by("visit_id").agg(pl.col("kind").unique(maintain_order=True).alias("met"))
    of_events = told.group_by("visit", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("n_events"),
        _time("at_ms").first().alias("started_at"),
        _time("at_ms").last().alias("ended_at"),
        pl.col("event_id").first().alias("first_event_id"),
        pl.col("customer_id").drop_nulls().first(),
    )
    flags = pl.DataFrame(reached, schema=list(STEPS), orient="row")
    return (
        of_events.with_columns(
            *_whose(meant, shops),
            flags.select(pl.concat_list(pl.when(name).then(pl.lit(name)) for name in STEPS).list.drop_nulls())
            .to_series()
            .alias("reached"),
            step.alias("furthest_step"),
            pl.Series("converted", converted),
            pl.Series("left", left),
            ended_by.alias("ended_by"),
        )
        .with_columns(
            pl.when("left").then("furthest_step").otherwise(pl.lit("")).alias("left_at_step"),
            pl.when(~pl.col("left"))
            .then(pl.lit(""))
            .when(pl.col("ended_by") == "")
            .then(pl.lit(NO_REASON))
            .otherwise("ended_by")
            .alias("because"),
        )
        .join(met, on="visit_id", how="left", maintain_order="left")
        .with_columns(pl.col("met").fill_null([]))
        .select(TRUTH.names())
    )


def _reached(opened: pl.DataFrame, n_visits: int) -> Bools:
    """A row a visit, a column a step: was the visitor there?"""
    reached = np.zeros((n_visits, len(STEPS)), dtype=bool)
    visit, step = opened["visit"].to_numpy(), STEP_OF_KIND[opened["kind"].to_numpy()]
    reached[visit[step >= 0], step[step >= 0]] = True
    # Something is put in the cart on a product's page, unless the customer is driven away before.
    reached[visit[(opened["adds"] & (opened["cut"] == NEVER)).to_numpy()], CART] = True
    return reached


def _whose(meant: pl.DataFrame, shops: Sequence[Shop]) -> pl.DataFrame:
    sites = pl.Series([shop.site for shop in shops], dtype=pl.String).gather(meant["shop"])
    return meant.select("visit_id", sites.alias("site"), "visitor_id", "session_id", "is_bot")


def _time(name: str) -> pl.Expr:
    return pl.col(name).cast(TIME)


def strings_of(kind: Ints) -> pl.Series:
    """The name of each kind of friction; '' for -1."""
    return pl.Series([*KINDS, ""]).gather(np.where(kind < 0, len(KINDS), kind))
