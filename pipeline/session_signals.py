"""Friction signals of the visitors that a step touches: which have fired by now, and which events must still be at hand.

Frames:  FIRED of the state, window, events in pieces -> FIRED of the state, window; ENDS of the state -> the same, and what has fired of it
"""

import numpy as np
import polars as pl

from pipeline import closings
from pipeline.session_frames import closings_schema, event_columns, fired_schema, looked_back_at
from pipeline.session_rules import SessionRules
from pipeline.signal_engine import counted, judged, keep
from pipeline.signal_window import Window, narrow, whole


def relevant_events(applied: pl.DataFrame, events: pl.DataFrame, rules: SessionRules) -> pl.DataFrame:
    """The events that count for some signal. Frames: applied events, the same in pieces with their steps -> SIFTED and the columns of a fold."""
    row = events["row"].to_numpy()
    marks = counted(applied, rules.signals)[row]
    at = np.flatnonzero(marks)
    schema = event_columns(rules.journeys)
    # Most columns are read by signals alone, and most events count for none: nothing else is copied.
    beside = [name for name in schema if name not in events.columns and name != "counted"]
    found = events.select(name for name in schema if name in events.columns)[at].hstack(applied.select(beside)[row[at]])
    columns = [pl.col(name).cast(dtype) for name, dtype in schema.items()]
    return found.with_columns(pl.Series("counted", marks[at], pl.UInt32)).select(columns)


def signals_after(
    had_fired: pl.DataFrame, window: Window, fresh: pl.DataFrame, watermarks: pl.DataFrame, rules: SessionRules
) -> tuple[pl.DataFrame, Window]:
    """All signals of these visitors after these relevant events, and the events that a later one must find."""
    schema = looked_back_at(rules.journeys)
    kept = whole(window, schema)
    found = judged(kept, fresh, rules.signals)
    now = found.fired.select(pl.col(name).cast(dtype) for name, dtype in fired_schema(rules.journeys).items())
    both = keep(pl.concat([kept, fresh.select(schema.names())]), watermarks, rules.signals, rules.dedup_horizon)
    return pl.concat([found.settled(had_fired), now]), narrow(both)


def closings_after(had_begun: pl.DataFrame, fresh: pl.DataFrame, rules: SessionRules) -> pl.DataFrame:
    """What these visitors have begun and ended after these relevant events."""
    schema = closings_schema(rules.journeys)
    beside = [name for name in schema if name not in closings.ENDS]
    now = closings.ends(fresh, rules.signals, beside).select(schema.names())
    return closings.latest(pl.concat([had_begun, now]), ("visitor_key", "part"))


def left_undone(begun: pl.DataFrame, rules: SessionRules) -> pl.DataFrame:
    """What sessions that have closed left undone, as signals. Frames: ENDS of the state and `group` -> FIRED of the state and `group`."""
    schema = fired_schema(rules.journeys)
    found = [pl.DataFrame(schema={**schema, "group": pl.Int64})]
    for signal in rules.signals:
        if signal.closing is None or begun.is_empty():
            continue
        undone = closings.undone(begun.filter(pl.col("signal_no") == signal.place), ("group",))
        found.append(
            undone.with_columns(
                *closings.evidence(signal.closing),
                pl.lit(signal.name).alias("signal"),
                pl.lit(signal.profile).alias("rule"),
                pl.lit(signal.weight).alias("weight"),
            ).select(*(pl.col(name).cast(dtype) for name, dtype in schema.items()), "group")
        )
    return pl.concat(found)
