"""Which signals have fired, as events come in, late ones too; and which events must be kept to know.

What fires at a time depends on the events in [time - look-back, time] of one visitor, so new events can change nothing that fired before the first of
them. From there on it is judged again, and what is judged is exact as long as every event is at hand that lies no further back than the look-back:
`needed` keeps those, as far back as an event can still come and be applied. So neither batches nor the order of arrival matter.

Frames:  WINDOW, events with the columns of WINDOW -> FIRED
Time:    event time, in ms; an event that may still come lies at most `horizon` behind the watermark
Cases:   a late event makes an earlier one fire, or fire no more -> judged again from the late event on | an event alone tells -> it is never kept
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import or_

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.definitions import BASE, AnySignal
from pipeline.events import event_schema
from pipeline.frames import Dtype, schema
from pipeline.signals import SIGNALS
from pipeline.watermark import UNREAD, milliseconds, of_partitions

_CONTRACT = event_schema("clickstream")

_WHOSE = ("partition", "visitor_key")

_EVENT = pl.Schema(
    {
        "visitor_key": pl.UInt64,
        "partition": pl.Int32,
        "event_ms": pl.Int64,
        "tie": pl.UInt64,
    }
)


def _read_by(signals: Iterable[AnySignal]) -> pl.Schema:
    columns: dict[str, Dtype] = {"event_type": pl.Categorical(), "page": pl.String}
    return schema({**_EVENT, **columns, **{name: _CONTRACT[name] for signal in signals for name in signal.columns}})


WINDOW = _read_by(SIGNALS)
"""Events that signals read. (event_ms, tie) is their order; `visitor_key` is a hash of (site, visitor_id). More columns may stand beside these, and say
which event it is."""

LOOKED_BACK_AT = _read_by(signal for signal in SIGNALS if signal.look_back)
"""The same of events that must be kept."""

EVIDENCE = pl.Schema({"page": pl.String, "element": pl.String, "value": pl.Float64, "rule": pl.String, "detail": pl.String})
"""What a person looks at to believe a signal. `rule`: the profile. Nulls where nothing is known."""

FIRED = pl.Schema({**pl.Schema({"signal": pl.String}), **_EVENT, **EVIDENCE, **pl.Schema({"weight": pl.Float64})})
"""A signal that fired, and the event at which it did; with the further columns that stood beside WINDOW."""

_SINCE = pl.Schema({"signal": pl.String, "partition": pl.Int32, "visitor_key": pl.UInt64, "since_ms": pl.Int64})


@dataclass(frozen=True)
class Judged:
    """What new events say."""

    fired: pl.DataFrame
    """FIRED: all that fires at or after `since_ms` of its signal and visitor, whether it was known before or not."""
    since: pl.DataFrame
    """`signal`, `partition`, `visitor_key`, `since_ms`: from when on each was judged again. Nobody else's signals can have changed."""

    def settled(self, had_fired: pl.DataFrame) -> pl.DataFrame:
        """What had fired and was not judged again: it stays as it is, all else of it is replaced by `fired`.

        `had_fired` has `signal`, `partition`, `visitor_key` and `event_ms`; `signal` may be categorical.
        """
        if self.since.is_empty() or had_fired.is_empty():
            return had_fired
        since_ms = (
            had_fired.select(pl.col("signal").cast(pl.String), *_WHOSE)
            .join(self.since, on=["signal", *_WHOSE], how="left", maintain_order="left")
            .get_column("since_ms")
        )
        return had_fired.filter((since_ms.is_null() | (had_fired["event_ms"] < since_ms)).fill_null(value=True))


def relevant(signals: Sequence[AnySignal]) -> pl.Expr:
    """Whether an event matters to any of these signals."""
    return pl.any_horizontal(pl.lit(value=False), *map(_counted, signals))


def judged(kept: pl.DataFrame, fresh: pl.DataFrame, signals: Sequence[AnySignal]) -> Judged:
    """Judge what new events can have changed.

    `kept`: of the same visitors, at least the events that are `needed`; older and other ones do no harm. `fresh`: the new ones, all or those that are
    `relevant`, each once and none of them kept. `fresh` has the columns of WINDOW, `kept` at least LOOKED_BACK_AT, and both the same further ones.
    """
    beside = _beside(fresh)
    found: list[pl.DataFrame] = []
    since: list[pl.DataFrame] = []
    for signal in signals:
        columns = [*dict.fromkeys((*_EVENT, *BASE, *signal.columns, *beside))]
        new = fresh.lazy().filter(_counted(signal)).select(columns).collect()
        if new.is_empty():
            continue
        if not signal.look_back:
            # Nothing that comes later changes what an event alone has told.
            found.append(_fired(new.with_columns(visitor=pl.lit(0, dtype=pl.Int64)), signal, beside))
            continue
        first = new.group_by(_WHOSE).agg(pl.col("event_ms").min().alias("since_ms"))
        old = _looked_back_at(kept, first, signal)
        told = _fired(_by_visitor(pl.concat([old.select(columns), new]) if old.height else new), signal, beside)
        if old.height:
            told = told.join(first, on=_WHOSE, how="inner", maintain_order="left").filter(pl.col("event_ms") >= pl.col("since_ms"))
        found.append(told.select(*FIRED, *beside))
        since.append(first.select(pl.lit(signal.name).alias("signal"), *_WHOSE, "since_ms"))
    return Judged(
        pl.concat(found) if found else _fired_schema(fresh).to_frame(),
        pl.concat(since) if since else _SINCE.to_frame(),
    )


def fired(events: pl.DataFrame, signals: Sequence[AnySignal]) -> pl.DataFrame:
    """All that fires in these events, of which nothing is missing; each event once, in any order. Frames: WINDOW -> FIRED."""
    return judged(events.clear(), events, signals).fired


def needed(window: pl.DataFrame, watermarks: pl.DataFrame, signals: Sequence[AnySignal], horizon: timedelta) -> NDArray[np.bool_]:
    """Which of these events something that may still come must find: a mask of the rows. Frames: WINDOW, frames.WATERMARKS."""
    if window.is_empty():
        return np.zeros(0, dtype=bool)
    watermark_ms = of_partitions(watermarks, window["partition"].to_numpy())
    is_read = watermark_ms != UNREAD
    behind_ms = np.where(is_read, watermark_ms, 0) - window["event_ms"].to_numpy() - milliseconds(horizon)
    backs_ms = [pl.when(_counted(signal)).then(milliseconds(signal.look_back)) for signal in signals if signal.look_back]
    if not backs_ms:
        return np.zeros(len(window), dtype=bool)
    back_ms = window.select(pl.max_horizontal(*backs_ms).fill_null(-1)).to_series().to_numpy()
    mask: NDArray[np.bool_] = (back_ms >= 0) & (~is_read | (behind_ms <= back_ms))
    return mask


def keep(window: pl.DataFrame, watermarks: pl.DataFrame, signals: Sequence[AnySignal], horizon: timedelta) -> pl.DataFrame:
    """The events that are `needed`."""
    return window.filter(pl.Series(needed(window, watermarks, signals, horizon), dtype=pl.Boolean))


def _counted(signal: AnySignal) -> pl.Expr:
    # Comparing with a few types one by one takes half the time of `is_in`.
    is_read = reduce(or_, (pl.col("event_type") == event_type for event_type in signal.reads))
    return is_read & signal.counts(signal.rule)


def _looked_back_at(kept: pl.DataFrame, first: pl.DataFrame, signal: AnySignal) -> pl.DataFrame:
    """Kept events that a signal may look back at from the first new one of each visitor, with its `since_ms`."""
    back_ms = milliseconds(signal.look_back)
    return (
        kept.filter(_counted(signal)).join(first, on=_WHOSE, how="inner").filter(pl.col("event_ms") >= pl.col("since_ms") - back_ms)
    )


def _beside(events: pl.DataFrame) -> list[str]:
    return [name for name in events.columns if name not in WINDOW and name not in FIRED]


def _fired_schema(events: pl.DataFrame) -> pl.Schema:
    return pl.Schema({**FIRED, **{name: events.schema[name] for name in _beside(events)}})


def _by_visitor(events: pl.DataFrame) -> pl.DataFrame:
    """The events in order of (visitor, event_ms, tie), with `visitor`: a number each."""
    events = events.sort("visitor_key", "partition", "event_ms", "tie")
    is_other = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in _WHOSE).fill_null(value=True)
    return events.with_columns(is_other.cum_sum().cast(pl.Int64).alias("visitor"))


def _fired(events: pl.DataFrame, signal: AnySignal, beside: Sequence[str]) -> pl.DataFrame:
    """What one signal fires at in these events, which it reads and which count. Frames: -> FIRED and the columns beside."""
    told = signal.fires(events.select(*BASE, *(name for name in signal.columns if name not in BASE), "visitor"), signal.rule)
    at = events.select(*(name for name in FIRED if name in events.columns and name not in told.columns), *beside)[told["row"]]
    return at.with_columns(
        told["element"],
        told["value"],
        told["detail"],
        pl.lit(signal.name).alias("signal"),
        pl.lit(signal.profile).alias("rule"),
        pl.lit(signal.weight).alias("weight"),
    ).select(*FIRED, *beside)
