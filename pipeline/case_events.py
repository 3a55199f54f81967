"""One row an applied event of an order or a delivery, for people who look into a case.

Frames:  commerce.COMMERCE + POSITION -> frames.EVENTS
"""

import polars as pl

from pipeline.case_journeys import STEPS, Steps

_DETAILS = ("reason", "step", "delivery_id", "carrier", "quote_id", "return_id", "assignee_id")
"""What an event says beside its type, in the order in which it is shown."""


def event_rows(events: pl.DataFrame, steps: Steps = STEPS) -> pl.DataFrame:
    """What a person reads of each event."""
    journey, step = (
        pl.col("event_type").replace_strict(
            {name: getattr(each, what) for each in steps for name in each.event_types}, default=None, return_dtype=pl.String
        )
        for what in ("journey", "name")
    )
    return events.select(
        "partition",
        "site",
        "family",
        "event_id",
        "event_type",
        "event_at",
        "visitor_id",
        "session_id",
        "customer_id",
        "order_id",
        journey.alias("journey"),
        pl.when(step == "").then("step").otherwise(step).alias("step"),
        pl.concat_str(*_DETAILS, separator=" ", ignore_nulls=True).alias("detail"),
    )
