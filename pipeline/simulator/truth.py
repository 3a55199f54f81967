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
from pipeline.simulator.friction import NEVER, chances
from pipeline.simulator.obstacles import CONSEQUENCES, KINDS, Obstacle
from pipeline.simulator.pages import PATHS, STEP_OF_KIND, STEPS, Kind, Stage
from pipeline.simulator.shops import Shop
from pipeline.simulator.visits import Errand

TRUTH = schema(
    {
        "visit_id": pl.String, "site": pl.String, "visitor_id": pl.String, "session_id": pl.String, "customer_id": pl.String,
        "is_bot": pl.Boolean, "started_at": TIME, "ended_at": TIME, "n_events": pl.Int64, "first_event_id": pl.String,
        "reached": pl.List(pl.String), "furthest_step": pl.String, "converted": pl.Boolean, "left": pl.Boolean, "left_at_step": pl.String,
        "because": pl.String, "ended_by": pl.String, "chance": pl.Float64, "met": pl.List(pl.String), "shock": pl.String,
        "errand": pl.String, "gave_up": pl.Boolean, "ticket_id": pl.String, "came_back_at": TIME,
    }
)  # fmt: skip
"""`visit_id`: unique. `session_id`: null where the visitor sends none. `customer_id`: who logged in or was remembered, else null.
`started_at`, `ended_at`: first and last event. `n_events`: each counted once, copies not at all. `reached`: steps, in the order of buying.
`furthest_step`, `left_at_step`: '' if none. `left`: had something in the cart and did not buy. `because`: why somebody left: a kind of friction, 'no_reason',
or '' for who did not leave. `ended_by`: the kind of friction that ended the visit, cart or no cart, else ''; `chance`: the probability that it had. `met`: obstacles met, first met
first. `shock`: what went wrong for everybody meanwhile, else ''. `errand`: what a company's buyer came for, else ''; `gave_up`: the errand was not finished.
`ticket_id`: the contact with support about this visit. `came_back_at`: when the same person's next visit began."""

FRICTIONS = schema(
    {
        "visit_id": pl.String, "site": pl.String, "visitor_id": pl.String, "session_id": pl.String, "is_bot": pl.Boolean, "kind": pl.String,
        "began_at": TIME, "at": TIME, "n_events": pl.Int64, "page": pl.String, "element": pl.String, "event_id": pl.String, "made_leave": pl.Boolean, "chance": pl.Float64,
        "role": pl.String, "is_clear": pl.Boolean, "measure": pl.Float64, "shock": pl.String,
    }
)  # fmt: skip
"""`began_at`, `at`: first and last of the `n_events` events that make it, of an abandoned form the end of its page; `event_id`: that of the last. `element`: the button clicked, the form refused,
the vital that was poor, the message of the error. `made_leave`: the customer went because of this one; `chance`: the probability that this had. `role`: 'obstacle', what was planted | 'consequence', what the customer did | 'echo', what the events
of another kind may as well be taken for. `is_clear`: nobody would doubt it; an echo never is. `measure`: the number that makes it clear or vague."""

NO_REASON = "no_reason"
_ERRANDS = {Errand.RFQ: "rfq", Errand.BULK_PRICE: "bulk_price", Errand.ONBOARDING: "onboarding", Errand.APPROVAL: "approval"}
CART = STEPS.index("cart")
PURCHASED = STEPS.index("purchased")


def frictions(
    told: pl.DataFrame,
    opened: pl.DataFrame,
    meant: pl.DataFrame,
    shops: Sequence[Shop],
    *,
    obstacles: Sequence[Obstacle],
    shock: str,
) -> pl.DataFrame:
    """Every planted friction, with the events that make it. Frames: -> FRICTIONS."""
    planted = pl.concat([_grouped(told, "planted"), _grouped(told, "echo")]).sort("page", "began_ms", "role", maintain_order=True)
    left = told.group_by("page", maintain_order=True).agg(pl.col("at_ms").last().alias("left_ms"))
    # A form is abandoned when its page is left; of one thing met twice on a page, the last time decides.
    planted = planted.join(left, on="page", how="left", maintain_order="left").with_columns(
        pl.when(pl.col("kind") == "form_abandoned").then("left_ms").otherwise("at_ms").alias("at_ms"),
        (pl.col("again") == pl.col("again").max().over("page", "kind")).alias("decides"),
    )
    page = planted["page"].to_numpy()
    ended_by = strings_of(opened["ended_by"].gather(planted["page"]).to_numpy())
    visit = opened["visit"].gather(planted["page"])
    kind = planted["kind"].replace_strict({name: number for number, name in enumerate(KINDS)}, return_dtype=pl.Int64).to_numpy()
    is_weary = opened["weary"].to_numpy()[page] >> kind & 1
    # Nobody leaves because of a consequence or an echo.
    known = np.pad(chances(obstacles), ((0, 0), (0, len(CONSEQUENCES))))
    chance = np.where(((planted["role"] == "obstacle") & planted["decides"]).to_numpy(), known[is_weary, kind], 0.0)
    return planted.with_columns(
        *_whose(meant, shops)[visit],
        _time("began_ms").alias("began_at"),
        _time("at_ms").alias("at"),
        pl.coalesce("at_path", PATHS.gather(opened["path"].to_numpy()[page])).alias("page"),
        ((pl.col("kind") == ended_by) & (pl.col("role") == "obstacle") & pl.col("decides")).alias("made_leave"),
        pl.Series("chance", chance),
        pl.when(opened["is_shocked"].gather(planted["page"])).then(pl.lit(shock)).otherwise(pl.lit("")).alias("shock"),
    ).select(FRICTIONS.names())


def _grouped(told: pl.DataFrame, column: str) -> pl.DataFrame:
    """The events of one page that make one friction."""
    is_echo = column == "echo"
    role = pl.when(pl.col(column).is_in(CONSEQUENCES)).then(pl.lit("consequence")).otherwise(pl.lit("obstacle"))
    return (
        told.filter(pl.col(column).is_not_null())
        .group_by("page", column, pl.col("again").fill_null(0), maintain_order=True)
        .agg(
            pl.col("at_ms").first().alias("began_ms"),
            pl.col("at_ms").last(),
            pl.len().cast(pl.Int64).alias("n_events"),
            pl.coalesce("element", "form", "metric", "message", "query", "coupon", "reason").first().alias("element"),
            pl.col("event_id").last(),
            pl.col("at_path").first(),
            pl.col("measure").first(),
            (~pl.col("vague").fill_null(value=False).any()).alias("is_clear"),
        )
        .with_columns(
            pl.col(column).alias("kind"),
            (pl.lit("echo") if is_echo else role).alias("role"),
            pl.lit(value=False).alias("is_clear") if is_echo else pl.col("is_clear"),
        )
        .drop(column)
    )


def truth(
    told: pl.DataFrame, opened: pl.DataFrame, meant: pl.DataFrame, shops: Sequence[Shop], *, planted: pl.DataFrame, shock: str
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
    end_chance, is_shocked = np.zeros(meant.height), np.zeros(meant.height, dtype=bool)
    np.maximum.at(end_chance, opened["visit"].to_numpy(), opened["end_chance"].to_numpy())
    np.maximum.at(is_shocked, opened["visit"].to_numpy(), opened["is_shocked"].to_numpy())
    met = (
        planted.filter(pl.col("role") == "obstacle")
        .group_by("visit_id")
        .agg(pl.col("kind").unique(maintain_order=True).alias("met"))
    )
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
            pl.Series("chance", end_chance),
            pl.Series("shock", np.where(is_shocked, shock, "")),
            pl.Series([_ERRANDS.get(errand, "") for errand in Errand]).gather(meant["errand"]).alias("errand"),
            pl.Series("gave_up", (meant["errand"] != Errand.NOTHING).to_numpy() & ~_finished(opened, meant.height)),
            pl.lit(None, pl.String).alias("ticket_id"),
            pl.lit(None, TIME).alias("came_back_at"),
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


def _finished(opened: pl.DataFrame, n_visits: int) -> Bools:
    """The visits in which the form of an errand was sent."""
    finished = np.zeros(n_visits, dtype=bool)
    sent = (opened["stage"] == Stage.ERRAND) & (opened["kind"] != Kind.ACCOUNT) & opened["goes_on"] & (opened["cut"] == NEVER)
    finished[opened["visit"].to_numpy()[sent.to_numpy()]] = True
    return finished


def _whose(meant: pl.DataFrame, shops: Sequence[Shop]) -> pl.DataFrame:
    sites = pl.Series([shop.site for shop in shops], dtype=pl.String).gather(meant["shop"])
    return meant.select("visit_id", sites.alias("site"), "visitor_id", "session_id", "is_bot")


def _time(name: str) -> pl.Expr:
    return pl.col(name).cast(TIME)


def strings_of(kind: Ints) -> pl.Series:
    """The name of each kind of friction; '' for -1."""
    return pl.Series([*KINDS, ""]).gather(np.where(kind < 0, len(KINDS), kind))
