"""Which signals have fired, as events come in, late ones too; and which events must be kept to know.

What fires at a time depends on the events in [time - look-back, time] of one visitor, so new events can change nothing that fired before the first of
them. From there on it is judged again, and what is judged is exact as long as every event is at hand that lies no further back than the look-back:
`needed` keeps those, as far back as an event can still come and be applied. So neither batches nor the order of arrival matter.

Whether an event counts for a signal is asked once, when it comes, and stands in `counted` from then on: what only that question needs is not kept.

Frames:  WINDOW -> SIFTED; SIFTED, events of LOOKED_BACK_AT -> FIRED
Time:    event time, in ms; an event that may still come lies at most `horizon` behind the watermark
Cases:   a late event makes an earlier one fire, or fire no more -> judged again from the late event on | an event alone tells -> it is never kept
         what is judged when a session closes -> not here, but in closings.py
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.definitions import BASE, FIRES, AnySignal
from pipeline.events import event_schema
from pipeline.frames import Dtype, schema
from pipeline.signals import SIGNALS
from pipeline.watermark import UNREAD, milliseconds, of_partitions

Counted = NDArray[np.uint32]
"""A bit for each signal that an event counts for."""
Places = NDArray[np.int64]
"""Rows of a frame."""

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


def _read_by(signals: Iterable[AnySignal], *, with_sifts: bool) -> pl.Schema:
    names = [name for signal in signals for name in (*signal.columns, *(signal.sifts if with_sifts else ()))]
    columns: dict[str, Dtype] = {"event_type": pl.Categorical(), "page": pl.String}
    return schema({**_EVENT, **columns, **{name: _CONTRACT[name] for name in names if name not in BASE}})


WINDOW = _read_by(SIGNALS, with_sifts=True)
"""Events that signals read. (event_ms, tie) is their order; `visitor_key` is a hash of (site, visitor_id). More columns may stand beside these, and say
which event it is."""

_COUNTED = pl.Schema({"counted": pl.UInt32})
SIFTED = pl.Schema({**_read_by(SIGNALS, with_sifts=False), **_COUNTED})
"""The same of events that count for some signal, and for which: a bit each, by place in WEIGHTS."""

LOOKED_BACK_AT = pl.Schema(
    {**_read_by((signal for signal in SIGNALS if signal.look_back and signal.closing is None), with_sifts=False), **_COUNTED}
)
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


def counted(events: pl.DataFrame, signals: Sequence[AnySignal]) -> Counted:
    """For which signals each event counts. Frames: WINDOW, its `event_type` may be a string."""
    types = events["event_type"].cast(pl.Categorical())
    codes, of_event = np.unique(types.to_physical().to_numpy(), return_inverse=True)
    names = dict(pl.DataFrame({"code": types.to_physical(), "name": types.cast(pl.String)}).unique().iter_rows())
    found: Counted = np.zeros(events.height, dtype=np.uint32)
    read = {signal.name: np.array([names[code] in signal.reads for code in codes.tolist()], dtype=bool) for signal in signals}
    asked = [signal for signal in signals if read[signal.name].any()]
    # In one query, which asks what several of them ask once.
    answers = events.lazy().select(signal.counts(signal.rule).alias(signal.name) for signal in asked).collect() if asked else events
    for signal in asked:
        answer = answers[signal.name].to_numpy()  # a literal answers for all
        is_counted = read[signal.name][of_event] & (answer if len(answer) == events.height else bool(answer[0]))
        found |= np.where(is_counted, signal.bit, np.uint32(0))
    return found


def sifted(events: pl.DataFrame, signals: Sequence[AnySignal]) -> pl.DataFrame:
    """The events that count for some of these signals. Frames: WINDOW -> SIFTED, and the columns beside."""
    found = pl.Series("counted", counted(events, signals), pl.UInt32)
    return events.with_columns(found).filter(found != 0).select(*SIFTED, *_beside(events))


def judged(kept: pl.DataFrame, fresh: pl.DataFrame, signals: Sequence[AnySignal]) -> Judged:
    """Judge what new events can have changed.

    `kept`: of the same visitors, at least the events that are `needed`; older and other ones do no harm. `fresh`: the new ones, each once and none of
    them kept. `fresh` has the columns of SIFTED, `kept` at least LOOKED_BACK_AT, and both the same further ones.
    """
    beside = _beside(fresh)
    of_one, of_many = _Told(), _Told()
    alone = [signal for signal in signals if not signal.look_back]
    back = [signal for signal in signals if signal.look_back and signal.closing is None]
    for signal in alone:
        # Nothing that comes later changes what an event alone has told.
        rows = np.flatnonzero(fresh["counted"].to_numpy() & signal.bit)
        if len(rows):
            of_one.add(signal, rows, _fires(fresh, rows, signal, whose=pl.lit(0, dtype=pl.Int64)))
    fired_ = [_fired(fresh, of_one, beside)]
    since = _SINCE.to_frame()
    columns = [*LOOKED_BACK_AT, *beside]
    new = fresh.select(columns)
    both = pl.concat([kept.select(columns), new]) if kept.height else new
    if back and new.height:
        both = _by_visitor(both.with_columns(is_fresh=pl.int_range(pl.len()) >= kept.height))
        again = list(_judged_again(both, back))
        for each in again:
            fires = _fires(both, each.rows, each.signal)
            of_many.add(each.signal, each.rows, fires.filter(pl.Series(each.is_judged[fires["row"].to_numpy()], dtype=pl.Boolean)))
        fired_.append(_fired(both, of_many, beside))
        names = _each([each.signal.name for each in again], [len(each.first) for each in again])
        at = np.concatenate([np.zeros(0, dtype=np.int64), *(each.first for each in again)])
        since = both[at].select(names.alias("signal"), *_WHOSE, pl.col("event_ms").alias("since_ms"))
    return Judged(pl.concat(fired_), since)


@dataclass(frozen=True)
class _Again:
    """What one signal must look at, in events in order of (visitor, event_ms, tie)."""

    signal: AnySignal
    rows: Places
    is_judged: NDArray[np.bool_]
    """Of each of these rows whether what fires there is judged again, or only looked back at."""
    first: Places
    """The first new event of each visitor that it concerns."""


def _judged_again(both: pl.DataFrame, signals: Sequence[AnySignal]) -> Iterator[_Again]:
    """Of each signal that new events concern."""
    marks, visitor, event_ms = both["counted"].to_numpy(), both["visitor"].to_numpy(), both["event_ms"].to_numpy()
    is_fresh = both["is_fresh"].to_numpy()
    since_ms = np.empty(int(visitor[-1]) + 1, dtype=np.int64)
    for signal in signals:
        rows = np.flatnonzero(marks & signal.bit)
        new = rows[is_fresh[rows]]
        if not len(new):
            continue
        whose = visitor[new]
        first = new[np.append(True, whose[1:] != whose[:-1])]
        since_ms.fill(_NEVER)
        since_ms[visitor[first]] = event_ms[first]
        of_rows = since_ms[visitor[rows]]
        is_seen = event_ms[rows] >= of_rows - milliseconds(signal.look_back)
        rows, of_rows = rows[is_seen], of_rows[is_seen]
        yield _Again(signal, rows, event_ms[rows] >= of_rows, first)


_NEVER = np.iinfo(np.int64).max


def fired(events: pl.DataFrame, signals: Sequence[AnySignal]) -> pl.DataFrame:
    """All that fires in these events, of which nothing is missing; each event once, in any order. Frames: WINDOW -> FIRED.

    What is judged when a session closes is judged as if all events of a visitor were one session that has.
    """
    events = sifted(events, signals)
    found = judged(events.clear().select(*LOOKED_BACK_AT, *_beside(events)), events, signals).fired
    whole, told = _by_visitor(events), _Told()
    for signal in signals:
        rows = np.flatnonzero(whole["counted"].to_numpy() & signal.bit)
        if signal.closing is not None and len(rows):
            told.add(signal, rows, _fires(whole, rows, signal))
    return pl.concat([found, _fired(whole, told, _beside(events))])


def needed(window: pl.DataFrame, watermarks: pl.DataFrame, signals: Sequence[AnySignal], horizon: timedelta) -> NDArray[np.bool_]:
    """Which of these events something that may still come must find: a mask of the rows. Frames: `partition`, `event_ms`, `counted`; WATERMARKS."""
    if window.is_empty():
        return np.zeros(0, dtype=bool)
    watermark_ms = of_partitions(watermarks, window["partition"].to_numpy())
    is_read = watermark_ms != UNREAD
    behind_ms = np.where(is_read, watermark_ms, 0) - window["event_ms"].to_numpy() - milliseconds(horizon)
    marks = window["counted"].to_numpy()
    mask: NDArray[np.bool_] = np.zeros(window.height, dtype=bool)
    for look_back, bits in _bits_by_look_back(signals).items():
        mask |= ((marks & bits) != 0) & (~is_read | (behind_ms <= milliseconds(look_back)))
    return mask


def _bits_by_look_back(signals: Sequence[AnySignal]) -> dict[timedelta, np.uint32]:
    found: dict[timedelta, np.uint32] = {}
    for signal in signals:
        if signal.look_back and signal.closing is None:
            found[signal.look_back] = found.get(signal.look_back, np.uint32(0)) | signal.bit
    return found


def keep(window: pl.DataFrame, watermarks: pl.DataFrame, signals: Sequence[AnySignal], horizon: timedelta) -> pl.DataFrame:
    """The events that are `needed`."""
    return window.filter(pl.Series(needed(window, watermarks, signals, horizon), dtype=pl.Boolean))


def _beside(events: pl.DataFrame) -> list[str]:
    return [name for name in events.columns if name not in WINDOW and name not in FIRED and name not in _COUNTED]


def _by_visitor(events: pl.DataFrame) -> pl.DataFrame:
    """The events in order of (visitor, event_ms, tie), with `visitor`: a number each."""
    events = events.sort("visitor_key", "partition", "event_ms", "tie")
    is_other = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in _WHOSE).fill_null(value=False)
    return events.with_columns(is_other.cum_sum().cast(pl.Int64).alias("visitor"))


def _fires(events: pl.DataFrame, rows: Places, signal: AnySignal, *, whose: pl.Expr | None = None) -> pl.DataFrame:
    """Where one signal fires in these events, which count for it. Frames: -> FIRES."""
    names = [name for name in signal.columns if name not in BASE]
    visitor = pl.col("visitor") if whose is None else whose.alias("visitor")
    found: pl.DataFrame = signal.fires(events.select(*BASE, *names, visitor)[rows], signal.rule)
    return found


class _Told:
    """What signals have told of the events of one frame."""

    def __init__(self) -> None:
        self.signals: list[AnySignal] = []
        self.at: list[Places] = [np.zeros(0, dtype=np.int64)]
        self.fires = [FIRES.to_frame()]

    def add(self, signal: AnySignal, rows: Places, fires: pl.DataFrame) -> None:
        """Note where one fires; its rows are places in `rows`."""
        self.signals.append(signal)
        self.at.append(rows[fires["row"].to_numpy()])
        self.fires.append(fires)


def _fired(events: pl.DataFrame, told: _Told, beside: Sequence[str]) -> pl.DataFrame:
    """What was told of these events, of all signals at once: a frame each would cost more than to look. Frames: -> FIRED and the columns beside."""
    names = [name for name in FIRED if name in events.columns and name not in FIRES]
    sizes = [len(at) for at in told.at[1:]]
    return (
        events.select(*names, *beside)[np.concatenate(told.at)]
        .hstack(pl.concat(told.fires).drop("row"))
        .with_columns(
            _each([signal.name for signal in told.signals], sizes).alias("signal"),
            _each([signal.profile for signal in told.signals], sizes).alias("rule"),
            pl.Series("weight", np.repeat([signal.weight for signal in told.signals], sizes), dtype=pl.Float64),
        )
        .select(*FIRED, *beside)
    )


def _each(words: Sequence[str], sizes: Sequence[int]) -> pl.Series:
    """Every word so many times."""
    return pl.Series(words, dtype=pl.String)[np.repeat(np.arange(len(words)), sizes)]
