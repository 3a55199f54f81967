"""Friction signals of the visitors that a step touches: which have fired by now, and which events must still be at hand.

Frames:  FIRED of the state, window, events in pieces -> FIRED of the state, window
"""

import polars as pl

from pipeline.session_rules import SessionRules
from pipeline.session_state import event_columns, fired_schema, window_schema
from pipeline.signal_engine import judged, keep, relevant


def relevant_events(events: pl.DataFrame, rules: SessionRules) -> pl.DataFrame:
    """The events that some signal reads. Frames: events in pieces -> WINDOW and the columns of a fold."""
    columns = [pl.col(name).cast(dtype) for name, dtype in event_columns(rules.journeys).items()]
    return events.lazy().filter(relevant(rules.signals)).select(columns).collect()  # lazy: nothing else is copied


def signals_after(
    had_fired: pl.DataFrame, window: pl.DataFrame, fresh: pl.DataFrame, watermarks: pl.DataFrame, rules: SessionRules
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All signals of these visitors after these relevant events, and the events that a later one must find."""
    found = judged(window, fresh, rules.signals)
    now = found.fired.select(pl.col(name).cast(dtype) for name, dtype in fired_schema(rules.journeys).items())
    kept = pl.concat([window, fresh.select(window_schema(rules.journeys).names())])
    return pl.concat([found.settled(had_fired), now]), keep(kept, watermarks, rules.signals, rules.dedup_horizon)
