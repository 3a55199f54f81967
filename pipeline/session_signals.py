"""Friction signals of the visitors that a step touches: which have fired by now, and which events must still be at hand.

Frames:  FIRED of the state, window, events with `part` -> FIRED of the state, window
"""

import polars as pl

from pipeline.hashing import hex128
from pipeline.session_rules import SessionRules
from pipeline.session_state import fired_schema, window_schema
from pipeline.signal_engine import judged, keep, relevant


def signals_after(
    had_fired: pl.DataFrame, window: pl.DataFrame, events: pl.DataFrame, watermarks: pl.DataFrame, rules: SessionRules
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All signals of these visitors after these events, and the events that a later one must find."""
    columns = [pl.col(name).cast(dtype) for name, dtype in window_schema(rules.journeys).items()]
    fresh = events.lazy().filter(relevant(rules.signals)).select(columns).collect()  # lazy: of the columns that count alone
    found = judged(window, fresh, rules.signals)
    told = found.fired
    signal_id = hex128(told["site"], told["signal"], told["visitor_id"], told["event_id"])
    now = told.with_columns(signal_id.alias("signal_id")).select(
        pl.col(name).cast(dtype) for name, dtype in fired_schema(rules.journeys).items()
    )
    fired = pl.concat([found.settled(had_fired), now])
    return fired, keep(pl.concat([window, fresh]), watermarks, rules.signals, rules.dedup_horizon)
