"""The columns of a simulated event: those of the clickstream contract, and when it arrived."""

import polars as pl

from pipeline.simulator.columns import TIME, schema

CONTRACT = schema(
    {
        "event_id": pl.String, "event_type": pl.String, "event_at": TIME, "sent_at": TIME, "site": pl.String,
        "visitor_id": pl.String, "session_id": pl.String, "customer_id": pl.String, "account_id": pl.String,
        "sequence": pl.Int64, "journey": pl.String, "step": pl.String, "page": pl.String, "page_type": pl.String,
        "referrer": pl.String, "campaign": pl.String, "acquisition_channel": pl.String,
        "element": pl.String, "element_role": pl.String, "x_px": pl.Int32, "y_px": pl.Int32,
        "reaction_ms": pl.Int64, "watched_ms": pl.Int64,
        "form": pl.String, "field": pl.String, "message": pl.String, "reason": pl.String,
        "query": pl.String, "n_results": pl.Int32,
        "product_id": pl.String, "quantity": pl.Int32, "coupon": pl.String, "cart_id": pl.String, "order_id": pl.String,
        "amount_minor": pl.Int64, "currency": pl.String,
        "metric": pl.String, "value": pl.Float64, "status": pl.Int32, "engaged_ms": pl.Int64,
        "device": pl.String, "browser": pl.String, "os": pl.String, "country": pl.String, "app_version": pl.String,
        "is_bot": pl.Boolean,
    }
)  # fmt: skip
"""Every column of the contract, in its order. `sent_at`, `journey` and `step` stay null: these emitters know none of them."""

EVENTS = schema({**CONTRACT, "record_at": TIME})
"""What the simulator hands out, in order of `record_at`: the time at which the event arrived."""


def as_events(told: pl.DataFrame) -> pl.DataFrame:
    """Told happenings as events of the contract, with the row of the visit. Frames: -> `visit` and CONTRACT."""
    named = told.with_columns(
        pl.col("at_ms").cast(TIME).alias("event_at"),
        pl.col("page_path").alias("page"),
        # The counter is one of the session: an emitter without sessions has none.
        pl.when(pl.col("session_id").is_not_null()).then("sequence").alias("sequence"),
    )
    absent = [pl.lit(None).alias(name) for name in CONTRACT if name not in named.columns]
    return named.with_columns(absent).select("visit", *(pl.col(name).cast(dtype) for name, dtype in CONTRACT.items()))
