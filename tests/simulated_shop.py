"""A simulated shop through the folds: what tests of accuracy hold against the truth."""

import os
import secrets
from datetime import timedelta

import polars as pl

from pipeline.commerce import COMMERCE
from pipeline.events import event_schema
from pipeline.frames import WATERMARKS
from pipeline.fulfilment import FulfilmentFold
from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from pipeline.simulator.simulator import Simulated
from tests.commerce_strategies import RULES
from tests.views import now

WHO = ("site", "visitor_id")
BATCH = 20_000
COMMERCE_BATCH = 5_000


def drawn_seed() -> int:
    """A fresh one, or that of `EBBTIDE_SEED`."""
    return int(os.environ.get("EBBTIDE_SEED") or secrets.randbelow(2**31))


def folded(told: Simulated) -> dict[str, pl.DataFrame]:
    """What the tables show once everything has closed."""
    fold = SessionsFold(SessionRules())
    n = told.events.height
    log = told.events.select(
        *event_schema("clickstream").names(),
        pl.lit(0, pl.Int32).alias("partition"),
        pl.int_range(n, dtype=pl.Int64).alias("offset"),
        "record_at",
    )
    state, reached = fold.empty(), pl.DataFrame({"partition": [0], "watermark": [None]}, schema=WATERMARKS)
    steps = []
    for begin in range(0, n, BATCH):
        steps.append(fold.step(state, log[begin : begin + BATCH], reached))
        state, reached = steps[-1].state, steps[-1].watermarks
    long_after = reached.with_columns(pl.col("watermark") + timedelta(days=3))
    steps.append(fold.step(state, log.clear(), long_after))
    assert sum(step.rejects.height for step in steps) == 0, "nothing that is simulated is too late to be applied"
    return now(steps)


def commerce(told: Simulated) -> pl.DataFrame:
    """Orders and deliveries as one log, in order of arrival."""
    both = [told.orders.with_columns(family=pl.lit("order")), told.deliveries.with_columns(family=pl.lit("delivery"))]
    log = pl.concat(both, how="diagonal").sort("record_at", maintain_order=True)
    position = pl.lit(0, pl.Int32).alias("partition"), pl.int_range(pl.len(), dtype=pl.Int64).alias("offset"), "record_at"
    return log.select(*COMMERCE.names(), *position)


def folded_commerce(told: Simulated) -> dict[str, pl.DataFrame]:
    """What the tables of commerce show once everything has been decided."""
    log = commerce(told)
    # A small shop sends some types for the first time after the first wait for them: every lapse is asked for here.
    fold = FulfilmentFold(RULES)
    state, reached = fold.empty(), pl.DataFrame({"partition": [0], "watermark": [None]}, schema=WATERMARKS)
    steps = []
    for begin in range(0, log.height, COMMERCE_BATCH):
        steps.append(fold.step(state, log[begin : begin + COMMERCE_BATCH], reached))
        state, reached = steps[-1].state, steps[-1].watermarks
    steps.append(fold.step(state, log.clear(), reached.with_columns(pl.col("watermark") + timedelta(days=90))))
    assert sum(step.rejects.height for step in steps) == 0, "nothing that is simulated is too late to be applied"
    return now(steps)
