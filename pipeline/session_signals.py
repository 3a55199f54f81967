"""Friction signals of the visitors that a step touches: which have fired by now, and which events must be looked back at.

The signals are computed over all events that are kept of these visitors, old and new. What had fired before and does not fire any more is gone (an
earlier event came late); what fired on events that are kept no more stays as it was.

Frames:  FIRED, window, events with `part` -> FIRED, window
"""

import polars as pl

from pipeline.friction import WEIGHTS
from pipeline.hashing import hex128
from pipeline.session_rules import SessionRules
from pipeline.session_state import fired_schema, window_schema
from pipeline.signal_engine import fired, relevant


def signals_after(had_fired: pl.DataFrame, window: pl.DataFrame, events: pl.DataFrame, rules: SessionRules) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All signals of these visitors, and all their events that were kept with the new ones among them."""
    schema = fired_schema(rules.journeys)
    fresh = events.filter(relevant(rules.signals)).select(
        pl.col(name).cast(dtype) for name, dtype in window_schema(rules.journeys).items()
    )
    window = pl.concat([window, fresh])
    if fresh.is_empty():
        return had_fired, window
    found = fired(window, rules.signals)
    # A signal is told at an event; of the event we know whose it was.
    of_event = window.select("visitor_key", "partition", "part", "site", "event_id", "event_ms", *(name for name, _ in rules.journeys.columns()))
    now = found.join(of_event, on=["visitor_key", "event_id"], how="inner", maintain_order="left")
    now = now.with_columns(
        hex128(now["site"].cast(pl.String), now["signal"].cast(pl.String), now["visitor_id"], now["event_id"]).alias("signal_id"),
        pl.col("signal").replace_strict(WEIGHTS, return_dtype=pl.Float64).alias("weight"),
    ).select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    # Only what fired within the window can be judged again.
    is_open = had_fired.join(window.select("visitor_key", "event_ms").unique(), on=["visitor_key", "event_ms"], how="semi")
    settled = had_fired.join(is_open.select("signal_id"), on="signal_id", how="anti")
    return pl.concat([settled, now]), window
