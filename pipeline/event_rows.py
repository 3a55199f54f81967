"""One row an applied event, for people who look into a session.

Frames:  event_schema("clickstream") + POSITION -> frames.EVENTS
"""

import polars as pl

from pipeline.journey_map import JourneyMap

_DETAILS = ("form", "field", "message", "reason", "query", "element", "product_id", "coupon")
"""What an event says beside its type, in the order in which it is shown."""


def event_rows(events: pl.DataFrame, journeys: JourneyMap) -> pl.DataFrame:
    """What a person reads of each event; its step is that of the first journey in which it has one."""
    steps = journeys.steps_of_events(events)
    journey: pl.Expr = pl.lit(None, dtype=pl.String)
    step: pl.Expr = pl.lit(None, dtype=pl.String)
    for name, journey_ in reversed(list(journeys.columns())):
        names = {place: step_.name for place, step_ in enumerate(journey_.steps)}
        journey = pl.when(pl.col(name).is_not_null()).then(pl.lit(journey_.name)).otherwise(journey)
        step = pl.when(pl.col(name).is_not_null()).then(pl.col(name).replace_strict(names, return_dtype=pl.String)).otherwise(step)
    measured = pl.concat_str("metric", pl.lit(" "), pl.col("value").round(3).cast(pl.String))
    return events.hstack(steps).select(
        "partition",
        "site",
        pl.lit("clickstream").alias("family"),
        "event_id",
        "event_type",
        "event_at",
        "visitor_id",
        "session_id",
        "customer_id",
        "order_id",
        journey.alias("journey"),
        step.alias("step"),
        "page",
        pl.concat_str(*_DETAILS, measured, pl.col("status").cast(pl.String), separator=" ", ignore_nulls=True).alias("detail"),
    )
