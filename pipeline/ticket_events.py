"""One row an applied event of a ticket, for people who look into one.

Frames:  event_schema("ticket") -> frames.EVENTS
"""

import polars as pl

_DETAILS = ("channel", "topic", "team", "agent_id", "score")
"""What an event says beside its type, in the order in which it is shown; no text: it may name people."""


def event_rows(events: pl.DataFrame) -> pl.DataFrame:
    """What a person reads of each event."""
    return events.select(
        "partition",
        "site",
        pl.lit("ticket").alias("family"),
        "event_id",
        "event_type",
        "event_at",
        "visitor_id",
        "session_id",
        "customer_id",
        "order_id",
        "ticket_id",
        "journey",
        "step",
        "page",
        pl.concat_str(*(pl.col(name).cast(pl.String) for name in _DETAILS), separator=" ", ignore_nulls=True).alias("detail"),
    )
