"""A simulated shop through the folds: what tests of accuracy hold against the truth."""

import os
import secrets
from datetime import timedelta
from typing import Any

import polars as pl

from pipeline.commerce import COMMERCE
from pipeline.events import event_schema
from pipeline.fold import Step
from pipeline.frames import WATERMARKS
from pipeline.fulfilment import FulfilmentFold
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from pipeline.simulator.simulator import Simulated
from tests.commerce_strategies import RULES
from tests.views import Fold, now

WHO = ("site", "visitor_id")
BATCH = 20_000
COMMERCE_BATCH = 5_000


def drawn_seed() -> int:
    """A fresh one, or that of `EBBTIDE_SEED`."""
    return int(os.environ.get("EBBTIDE_SEED") or secrets.randbelow(2**31))


def folded(told: Simulated) -> dict[str, pl.DataFrame]:
    """What the tables show once everything has closed."""
    return now(session_steps(told, SessionRules()))


def session_steps(told: Simulated, rules: SessionRules) -> list[Step[Any]]:
    """The clicks folded by visitor, until everything has closed."""
    log = told.events.select(
        *event_schema("clickstream").names(),
        pl.lit(0, pl.Int32).alias("partition"),
        pl.int_range(told.events.height, dtype=pl.Int64).alias("offset"),
        "record_at",
    )
    return _steps(SessionsFold(rules), log, BATCH, timedelta(days=3))


def commerce(told: Simulated) -> pl.DataFrame:
    """Orders and deliveries as one log, in order of arrival."""
    both = [told.orders.with_columns(family=pl.lit("order")), told.deliveries.with_columns(family=pl.lit("delivery"))]
    log = pl.concat(both, how="diagonal").sort("record_at", maintain_order=True)
    position = pl.lit(0, pl.Int32).alias("partition"), pl.int_range(pl.len(), dtype=pl.Int64).alias("offset"), "record_at"
    return log.select(*COMMERCE.names(), *position)


def folded_commerce(told: Simulated) -> dict[str, pl.DataFrame]:
    """What the tables of commerce show once everything has been decided."""
    return now(commerce_steps(told, RULES))


def commerce_steps(told: Simulated, rules: FulfilmentRules) -> list[Step[Any]]:
    """Orders and deliveries folded by order, until everything has been decided."""
    # A small shop sends some types for the first time after the first wait for them: RULES ask for every lapse.
    return _steps(FulfilmentFold(rules), commerce(told), COMMERCE_BATCH, timedelta(days=90))


def _steps(fold: Fold, log: pl.DataFrame, n: int, then: timedelta) -> list[Step[Any]]:
    """A log in batches of so many, and so much time after it."""
    state, reached = fold.empty(), pl.DataFrame({"partition": [0], "watermark": [None]}, schema=WATERMARKS)
    steps: list[Step[Any]] = []
    for begin in range(0, log.height, n):
        steps.append(fold.step(state, log[begin : begin + n], reached))
        state, reached = steps[-1].state, steps[-1].watermarks
    steps.append(fold.step(state, log.clear(), reached.with_columns(pl.col("watermark") + then)))
    assert sum(step.rejects.height for step in steps) == 0, "nothing that is simulated is too late to be applied"
    return steps
