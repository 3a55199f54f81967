"""What was begun and must come to an end within its session: an aggregate that can be put together in any order.

Of each thing begun it is enough to know the last event that begins it and the last that ends it. If the session has closed and the former is the
later, it was left undone, at that event. So late events, sessions that merge and visits that go on after all need no code of their own.

Frames:  events with `event_type`, `event_ms`, `tie`, `page` and the subjects -> ENDS and whatever stood beside
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from pipeline.definitions import FIRES, AnySignal, Closing

FOREVER = timedelta(days=36_500)
"""How far back such a signal looks: to the beginning of its session."""

ENDS = pl.Schema({"signal_no": pl.UInt8, "is_end": pl.Boolean, "subject": pl.String, "event_ms": pl.Int64, "tie": pl.UInt64})
"""`signal_no`: place in WEIGHTS. `subject`: '' of an end that ends all."""

_OF = ("signal_no", "subject")


def ends(events: pl.DataFrame, signals: Sequence[AnySignal], beside: Sequence[str]) -> pl.DataFrame:
    """Every event that begins or ends something. Frames: signal_engine.SIFTED -> ENDS and `beside`."""
    found = [pl.DataFrame(schema={**ENDS, **{name: events.schema[name] for name in beside}})]
    for signal in signals:
        rows = np.flatnonzero(events["counted"].to_numpy() & signal.bit) if signal.closing else ()
        if signal.closing and len(rows):
            found.append(
                _marks(events[rows], signal.closing, signal.rule).select(
                    pl.lit(signal.place, dtype=pl.UInt8).alias("signal_no"), "is_end", "subject", "event_ms", "tie", *beside
                )
            )
    return pl.concat(found)


def _marks(events: pl.DataFrame, closing: Closing[Any], rule: Any) -> pl.DataFrame:
    """The events that begin or end something, with `is_end` and `subject`."""
    said = pl.lit("") if closing.subject is None else pl.col(closing.subject).fill_null("")
    is_end = closing.ends(rule)
    return events.filter(closing.begins(rule) | is_end).with_columns(is_end.alias("is_end"), said.alias("subject"))


def latest(ends: pl.DataFrame, of: Sequence[str]) -> pl.DataFrame:
    """Of each thing, among those with the same `of`, the last event that begins it and the last that ends it. Frames: ENDS -> ENDS."""
    if ends.height <= 1:
        return ends
    return ends.sort("event_ms", "tie").unique([*of, *_OF, "is_end"], keep="last", maintain_order=True)


def undone(ends: pl.DataFrame, of: Sequence[str]) -> pl.DataFrame:
    """The last events that begin something which no later event of the same `of` ends. Frames: ENDS -> ENDS."""
    last = latest(ends, of)
    begun, ended = last.filter(~pl.col("is_end")), last.filter("is_end")
    if begun.is_empty() or ended.is_empty():
        return begun
    own = ended.select(*of, *_OF, own_ms="event_ms", own_tie="tie")
    any_ = ended.filter(pl.col("subject") == "").select(*of, "signal_no", all_ms="event_ms", all_tie="tie")
    both = begun.join(own, on=[*of, *_OF], how="left").join(any_, on=[*of, "signal_no"], how="left")
    is_over = [
        (pl.col(f"{whose}_ms") > pl.col("event_ms"))
        | ((pl.col(f"{whose}_ms") == pl.col("event_ms")) & (pl.col(f"{whose}_tie") > pl.col("tie")))
        for whose in ("own", "all")
    ]
    return both.filter(~pl.any_horizontal(each.fill_null(value=False) for each in is_over)).select(begun.columns)


def left_undone(closing: Closing[Any]) -> Callable[[pl.DataFrame, Any], pl.DataFrame]:
    """`fires` of a signal that is judged when the session closes, for events of which nothing is missing: each visitor's are one closed session."""

    def fires(events: pl.DataFrame, rule: Any) -> pl.DataFrame:
        closed = events.with_row_index("row").with_columns(
            pl.col("row").cast(pl.UInt64).alias("tie"),  # the events are in order
            pl.lit(0, dtype=pl.UInt8).alias("signal_no"),
        )
        marks = _marks(closed, closing, rule)
        return undone(marks, ["visitor"]).sort("row").select("row", *evidence(closing)).cast(FIRES)

    return fires


def evidence(closing: Closing[Any]) -> tuple[pl.Expr, ...]:
    """`value`, `element` and `detail` of what was left undone. Frames: ENDS -> of FIRES."""
    subject = pl.col("subject")
    return (
        pl.lit(None, dtype=pl.Float64).alias("value"),
        pl.when(subject != "").then(subject).alias("element"),
        pl.lit(closing.detail).alias("detail"),
    )
