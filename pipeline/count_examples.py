"""What a fold says of its counts to whoever judges them: those that changed, and examples: somebody of whom something was counted.

Frames:  rows of ROLLUPS -> the same with `key`; rows of OUTCOMES or SIGNALS -> passed.EXAMPLES
         a signal has the money of the cart or the order that it fired at, if that is said in the same step
Cases:   lapses -> each that is new, or has become silent | signals -> one for each count of a step, for there are many
         a count that nobody says any more -> it is nothing
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import polars as pl

from pipeline import frames
from pipeline.count_rules import DIMENSIONS
from pipeline.passed import COUNT, COUNTS, EXAMPLE, EXAMPLES, Passed
from pipeline.watermark import milliseconds

_MONEY = (
    ("sessions", ("visitor_id", "session_id"), "cart_value_minor"),
    ("cases", ("order_id",), "amount_minor"),
)
"""Table, by what a signal names a row of it, and which column of it is money."""
_AT = {"abandoned": "began_at", "silent": "began_at", "signals": "fired_at"}
_SEGMENT = [name for name in EXAMPLES.names() if name in frames.ROLLUPS.key]
_IDS = (
    ("ticket_id", pl.col("ticket_id")),
    ("order_id", pl.col("order_id")),
    ("delivery_id", pl.col("delivery_id")),
    ("session_id", pl.concat_str("visitor_id", pl.lit("/"), "session_id")),
)
"""Column that must say something -> what an example is called by, the narrowest first; but what is of a visit is called by that."""


@dataclass(frozen=True)
class Counting:
    """How a fold counts."""

    source: str
    interval: timedelta
    dimensions: tuple[str, ...]

    def changed(
        self, said: Mapping[str, pl.DataFrame], was: Mapping[str, pl.DataFrame], *, by_visit: bool = False
    ) -> tuple[Passed, ...]:
        """The counts that a step says, and examples of lapses and signals that are new in it. Frames: of tables, what is said; what was told before."""
        lapses = _new(frames.OUTCOMES, said, was)
        signals = _priced(_new(frames.SIGNALS, said, was), said)
        found = [
            *counts(said),
            *self.examples(lapses, "abandoned", by_visit=by_visit),
            *self.examples(signals, "signals", by_visit=by_visit),
        ]
        return tuple(found)

    def judged(self, said: Mapping[str, pl.DataFrame], was: Mapping[str, pl.DataFrame], own: Collection[str]) -> tuple[Passed, ...]:
        """Examples of lapses that a step says silent, of those of its `own` expectations that are new, and of signals. Frames: likewise."""
        lapses = _new(frames.OUTCOMES, said, was)
        of_lapses, is_silent = frames.OUTCOMES.name, pl.col("status") == "silent"
        silent = said[of_lapses].filter(is_silent) if of_lapses in said else None
        if silent is not None and silent.height:
            before = {of_lapses: was[of_lapses].filter(is_silent)} if of_lapses in was else {}
            silent = _new(frames.OUTCOMES, {of_lapses: silent}, before)
        found = [
            *self.examples(None if lapses is None else lapses.filter(pl.col("expectation").is_in(own)), "abandoned"),
            *self.examples(silent, "silent"),
            *self.examples(_new(frames.SIGNALS, said, was), "signals"),
        ]
        return tuple(found)

    def examples(
        self, rows: pl.DataFrame | None, measure: Literal["abandoned", "silent", "signals"], *, by_visit: bool = False
    ) -> tuple[Passed, ...]:
        """Some rows as examples. Frames: rows of OUTCOMES or SIGNALS, `partition` -> EXAMPLES, `key`, `partition`."""
        if rows is None or rows.is_empty():
            return ()
        interval_ms = milliseconds(self.interval)
        given = {
            "interval_at": (pl.col(_AT[measure]).to_physical() // interval_ms * interval_ms).cast(frames.TIME),
            "interval_s": pl.lit(int(self.interval.total_seconds())),
            "source": pl.lit(self.source),
            "measure": pl.lit(measure),
            "example": _example(rows, by_visit=by_visit),
            **{name: pl.lit("") for name in DIMENSIONS if name not in self.dimensions},
        }
        columns = []
        for name, dtype in EXAMPLES.items():
            said = given.get(name, pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype)
            columns.append((said.fill_null("") if dtype == pl.String else said).alias(name))
        found = rows.select("partition", *columns, _key())
        if measure == "signals":
            found = found.unique(["partition", *_SEGMENT], keep="first", maintain_order=True)
        return (Passed(COUNTS, EXAMPLE, found),)


def counts(said: Mapping[str, pl.DataFrame]) -> tuple[Passed, ...]:
    """Those that are said. Frames: of tables, what is said, with `partition`."""
    rows = said.get(frames.ROLLUPS.name)
    return () if rows is None or rows.is_empty() else (Passed(COUNTS, COUNT, rows.with_columns(_key())),)


def counts_again(again: Mapping[str, pl.DataFrame], gone: Mapping[str, pl.DataFrame], partition: int) -> tuple[Passed, ...]:
    """What was said of counts and still is, and what is taken back. Frames: of tables."""
    at = pl.lit(partition, pl.Int32).alias("partition")
    back = gone.get(frames.ROLLUPS.name)
    nothing = {} if back is None else {frames.ROLLUPS.name: back.with_columns(pl.lit(0, pl.Int64).alias("n"), at)}
    return (*counts(again), *counts(nothing))


def _new(table: frames.Table, said: Mapping[str, pl.DataFrame], was: Mapping[str, pl.DataFrame]) -> pl.DataFrame | None:
    """Of what is said those that there were not before."""
    rows, before = said.get(table.name), was.get(table.name)
    if rows is None or rows.is_empty():
        return None
    there = rows.filter(pl.col("is_deleted") == 0)
    if before is None or before.is_empty():
        return there
    return there.join(before.select(pl.col(table.key).cast(pl.String)), on=table.key, how="anti", nulls_equal=True)


def _priced(signals: pl.DataFrame | None, said: Mapping[str, pl.DataFrame]) -> pl.DataFrame | None:
    """Signals with `value_minor` and `currency`, of the first table that says them. Frames: rows of SIGNALS; of tables, what is said."""
    for name, ids, money in _MONEY:
        if signals is not None and name in said and "value_minor" not in signals.columns:
            on = ["site", *ids]
            rows = said[name].filter(pl.col("is_deleted") == 0).select(*on, pl.col(money).alias("value_minor"), "currency")
            signals = signals.join(rows.unique(on, keep="last"), on=on, how="left", maintain_order="left")
    return signals


def _key() -> pl.Expr:
    return pl.concat_str(pl.lit("site:"), "site").alias("key")


def _example(rows: pl.DataFrame, *, by_visit: bool) -> pl.Expr:
    ids = _IDS[-1:] if by_visit else _IDS
    return pl.coalesce(*(pl.when(pl.col(name).fill_null("") != "").then(how) for name, how in ids if name in rows.columns))
