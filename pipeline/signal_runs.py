"""What signals have in common: the first of a run, the n-th of a chain, back and forth, what stands before, what a tool has told already, evidence.

Frames:  events in order of (visitor, event_ms, tie) with `row`, `visitor`, `event_ms` -> some of their rows
Time:    a span is inclusive. Each looks back as far as its docstring says, and no further, for a signal must say how far it looks back
Source:  what is shifted stands in other chunks than what is not, and Polars 2.1 panics when it joins their strings: hence `rechunk`
"""

from collections.abc import Sequence

import polars as pl

from pipeline.definitions import FIRES


def same_as_before(*columns: str, back: int = 1) -> pl.Expr:
    """Whether the row so many before is of the same visitor and says the same in these columns; two nulls are the same."""
    same = pl.col("visitor") == pl.col("visitor").shift(back)
    for name in columns:
        same &= pl.col(name).eq_missing(pl.col(name).shift(back))
    return same.fill_null(value=False)


def since_before(back: int = 1) -> pl.Expr:
    """Time since the row so many before."""
    return pl.col("event_ms") - pl.col("event_ms").shift(back)


def first_of_runs(events: pl.DataFrame, by: Sequence[str], within_ms: int) -> pl.DataFrame:
    """The events that have none of the same visitor and `by` within this time before them. It looks back `within_ms`."""
    again = same_as_before(*by) & (since_before() <= within_ms)
    return events.sort("visitor", *by, maintain_order=True).filter(~again.fill_null(value=False)).sort("row")


def completed(attempts: pl.DataFrame, n: int, within_ms: int) -> pl.DataFrame:
    """Where the n-th attempt of a `chain` within this time is made, and that for the first time within it; with `took_ms`.

    The attempts of a chain stand together and in order. It looks back twice `within_ms`.
    """
    completing = attempts.with_columns(since_before(n - 1).alias("took_ms")).filter(
        (pl.col("chain") == pl.col("chain").shift(n - 1)).fill_null(value=False) & (pl.col("took_ms") <= within_ms)
    )
    goes_on = (pl.col("chain") == pl.col("chain").shift(1)) & (since_before() <= within_ms)
    return completing.filter(~goes_on.fill_null(value=False)).sort("row").rechunk()


def back_and_forth(views: pl.DataFrame, place: str, n: int, within_ms: int, by: Sequence[str] = ()) -> pl.DataFrame:
    """Where a visitor comes to one of two places after having been at both by turns, n stays within this time; with `took_ms` and `other`.

    With `by` each of its own, rows in order of visitor and `by`. A stay may be several views; time runs from the last of the first stay. A run is told once. It looks back twice `within_ms`.
    """
    moves = views.with_columns(
        pl.when(same_as_before(*by)).then(pl.col(place).shift(1)).alias("other"),
        pl.when(same_as_before(*by)).then(pl.col("event_ms").shift(1)).alias("left_ms"),
    ).filter((pl.col("other") != pl.col(place)).fill_null(value=False))
    # A move turns back if it leads to where the one before it came from.
    turns = (
        same_as_before(*by) & (pl.col(place) == pl.col("other").shift(1)) & (pl.col("other") == pl.col(place).shift(1))
    ).fill_null(value=False)
    completing = moves.with_columns(
        (~turns).cum_sum().alias("chain"), (pl.col("event_ms") - pl.col("left_ms").shift(n - 2)).alias("took_ms")
    ).filter((pl.col("chain") == pl.col("chain").shift(n - 2)).fill_null(value=False) & (pl.col("took_ms") <= within_ms))
    goes_on = (pl.col("chain") == pl.col("chain").shift(1)) & (since_before() <= within_ms)
    return completing.filter(~goes_on.fill_null(value=False)).rechunk()


def within_after(is_begun: pl.Expr, is_over: pl.Expr, within_ms: int) -> pl.Expr:
    """Whether the last thing of the visitor that began or was over, the event itself among them, began, and at most this long ago."""
    is_either = is_begun | is_over
    whose = pl.when(is_either).then("visitor").forward_fill()
    began_ms = pl.when(is_begun).then("event_ms").when(is_over).then(_NEVER).forward_fill()
    return ((whose == pl.col("visitor")) & (pl.col("event_ms") - began_ms <= within_ms)).fill_null(value=False)


def not_told_yet(findings: pl.DataFrame, within_ms: int) -> pl.DataFrame:
    """Findings of ours and reports of the emitter's tool (`is_report`), each thing once: of two on one `page` and `element` within this time the first.

    A finding is left out after a report, a report after anything; two findings are two. It looks back `within_ms`.
    """
    findings = findings.sort("visitor", "page", "element", maintain_order=True)
    # Per place, the time of the last report before each.
    starts = (~same_as_before("page", "element")).cum_sum()
    reported_ms = pl.when("is_report").then("event_ms").forward_fill().shift(1).over(starts)
    told = (pl.col("event_ms") - reported_ms <= within_ms) | (
        pl.col("is_report") & same_as_before("page", "element") & (since_before() <= within_ms)
    )
    return findings.filter(~told.fill_null(value=False)).sort("row").rechunk()


def telling(
    events: pl.DataFrame, *, detail: pl.Expr, value: pl.Expr | str | None = None, element: pl.Expr | str | None = None
) -> pl.DataFrame:
    """That a signal fires at these events, with the evidence; what is not said is null. Frames: -> FIRES."""
    if events.is_empty():
        return FIRES.to_frame()
    said = {name: pl.lit(None) if what is None else what for name, what in (("value", value), ("element", element))}
    return events.rechunk().select("row", **said, detail=detail).cast(FIRES)


def if_known(before: str, what: pl.Expr | str) -> pl.Expr:
    """These words and what is known; nothing if it is not."""
    return pl.concat_str(pl.lit(before), what).fill_null("")


_NEVER = -(2**62)
