"""Who stays and comes back by a rhythm of their own, and who leaves for good, because of what.

Frames:  FACTS, CELLS -> a row a case: `left`, `because`, `chance`, `decided_ms`; CUSTOMERS
"""

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import HOUR_MS
from pipeline.simulator.case_truth import CUSTOMERS, LEAVE, LEAVE_FOR_NO_REASON, PLACES
from pipeline.simulator.columns import TIME
from pipeline.simulator.draws import Bools, Ints
from pipeline.simulator.orders import NEVER_MS
from pipeline.simulator.stories import Stories
from pipeline.simulator.truth import NO_REASON


def decisions(rng: np.random.Generator, facts: pl.DataFrame, cells: pl.DataFrame, ended_ms: Ints) -> pl.DataFrame:
    """Who leaves for good, because of what. Frames: -> a row a case: `left`, `because`, `chance`, `decided_ms`."""
    n = facts.height
    of_cases = cells.filter(pl.col("case") >= 0).unique(["case", "kind"], keep="first", maintain_order=True)
    chance = of_cases["kind"].replace_strict(LEAVE, default=0.0, return_dtype=pl.Float64)
    fatal = (
        of_cases.with_columns(chance.alias("chance"))
        .filter(pl.Series(rng.random(of_cases.height)) < chance)
        .sort("case", "at_ms")
        .unique("case", keep="first", maintain_order=True)
        .select("case", pl.col("kind").alias("because"), "chance", pl.col("at_ms").alias("decided_ms"))
    )
    tired = rng.random(n) < LEAVE_FOR_NO_REASON
    decided = pl.DataFrame({"case": np.arange(n), "tired": tired, "ended_ms": ended_ms}).join(
        fatal, on="case", how="left", maintain_order="left"
    )
    return decided.select(
        (pl.col("because").is_not_null() | pl.col("tired")).alias("left"),
        pl.coalesce("because", pl.when("tired").then(pl.lit(NO_REASON)).otherwise(pl.lit(""))).alias("because"),
        pl.coalesce("chance", pl.when("tired").then(LEAVE_FOR_NO_REASON).otherwise(0.0)).alias("chance"),
        pl.coalesce("decided_ms", "ended_ms").alias("decided_ms"),
    )


def place(because: pl.Series, which: int) -> pl.Series:
    """Journey or step of a cause; who leaves for no reason does so at the end."""
    places = {kind: place[which] for kind, place in PLACES.items()}
    return because.replace_strict({**places, NO_REASON: ("order", "delivered")[which]}, default="", return_dtype=pl.String)


def people(
    story: Stories, facts: pl.DataFrame, decided: pl.DataFrame, ended_ms: Ints, n_contacts: Ints
) -> tuple[Ints, Bools, pl.DataFrame]:
    """When the person of each visit comes back, who has left, and their decisions. Frames: -> CUSTOMERS, with `visit` and `ended_ms`."""
    visits = story.visits
    visit, left = facts["visit"].to_numpy(), decided["left"].to_numpy()
    is_order = (facts["document_type"] == "order").to_numpy()
    next_ms, has_left = np.full(visits.height, NEVER_MS), np.zeros(visits.height, dtype=bool)
    has_left[visit[left]] = True
    # One order decides when the next one comes; nobody comes back before the visit is over.
    stays = is_order & ~has_left[visit]
    back_ms = np.maximum(
        facts["began_ms"].to_numpy() + visits["rhythm_ms"].to_numpy()[visit], visits["ended_ms"].to_numpy()[visit] + HOUR_MS
    )
    np.maximum.at(next_ms, visit[stays], back_ms[stays])
    comes_ms = np.where(has_left[visit], NEVER_MS, next_ms[visit])
    n_orders = visits["n_orders"].to_numpy()[visit] + is_order
    customers = facts.with_columns(
        *decided,
        pl.col("order_id").alias("case_id"),
        pl.Series("decided_at", decided["decided_ms"]).cast(TIME),
        pl.Series("n_visits", visits["n_visits"].to_numpy()[visit] + 1),
        pl.Series("n_orders", n_orders),
        pl.Series("n_contacts", visits["n_contacts"].to_numpy()[visit] + n_contacts[visit]),
        place(decided["because"], 0).alias("journey"),
        place(decided["because"], 1).alias("step"),
        times(comes_ms).alias("came_back_at"),
        pl.Series("ended_ms", ended_ms),
    ).select("visit", "ended_ms", *(pl.col(name).cast(dtype) for name, dtype in CUSTOMERS.items()))
    return next_ms, has_left, customers


def time_where_it_is(name: str) -> pl.Expr:
    """A column of epoch ms as times; null where it never comes."""
    return pl.when(pl.col(name) != NEVER_MS).then(pl.col(name)).cast(TIME)


def times(at_ms: Ints) -> pl.Series:
    """Epoch ms as times; null where it never comes."""
    return pl.Series("at", at_ms).to_frame().select(time_where_it_is("at")).to_series()
