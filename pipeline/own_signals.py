"""Signals of the user's own: events of some types that fulfil a condition, each by itself or so many within a time.

So many of them within the time are one signal, at the event that completes them, and a run of them is told once: it goes on as long as events complete
within that time of each other.

Whether an event counts is asked when it comes, and state keeps one bit of the answer. What the bits mean is kept with them (`meanings`), for settings
change while state stays: `translated` gives each its new place, and forgets what nobody asks any more.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches

import polars as pl
from schemas.contracts import event_types

from pipeline.checkout import is_one_of
from pipeline.conditions import columns_of, condition
from pipeline.definitions import CUSTOM, FIRES, OWN_BITS, OWN_PLACES, AnySignal, Own, Signal, in_range
from pipeline.signal_runs import completed
from pipeline.signal_window import told_by

LONGEST = 200
"""Characters of a condition that stand in a row."""
EVERYTHING = "TRUE"
"""A condition that every event fulfils."""


@dataclass(frozen=True)
class OwnRule:
    """Which events, and how many."""

    event_types: tuple[str, ...]
    """Types of the events that are looked at."""
    where: str = EVERYTHING
    """What must hold of such an event: a condition of SQL over the columns of the contract."""
    count: int = 1
    """So many such events make it a signal; 1 to 100."""
    within_s: int | None = None
    """Longest event time from the first of them to the last, inclusive; 1 s to a day. None only where one event is enough."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range, an event type that is none, or a condition that cannot be asked."""
        known_types(self.event_types)
        in_range("own", self, count=(1, 100))
        if self.count > 1 and self.within_s is None:
            message = f"within_s must say within which time {self.count} of them count"
            raise ValueError(message)
        if self.count == 1 and self.within_s is not None:
            raise ValueError("within_s says nothing where one event is enough: give a count as well")
        if self.within_s is not None:
            in_range("own", self, within_s=(1, 86_400))
        condition(self.where)


def known_types(names: tuple[str, ...]) -> tuple[str, ...]:
    """These types of events. Raises: ValueError if one is none, or there are none."""
    known = event_types("clickstream")
    if not names:
        raise ValueError("at least one type of event must be named")
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
            message = f"{name!r} is no type of event; the nearest is {near!r}"
            raise ValueError(message)
    return names


def own_signal(name: str, rule: OwnRule, own: Own, meaning: str) -> AnySignal:
    """A signal as any other."""
    return Signal(
        name=name,
        version=1,
        meaning=meaning,
        measures="ms from the first of the events that make it one to the one at which it fired" if rule.count > 1 else "nothing",
        reads=rule.event_types,
        columns=("element",),
        sifts=columns_of(rule.where),
        rule=rule,
        looks_back=_looks_back,
        counts=_counts,
        fires=_fires,
        evidence=("page", "element", "event_ms"),
        source="settings: [[signals.own]]",
        examples=(),
        profile=CUSTOM,
        own=own,
    )


def _counts(rule: OwnRule) -> pl.Expr:
    return condition(rule.where)


def _looks_back(rule: OwnRule) -> timedelta:
    return timedelta(seconds=0 if rule.within_s is None else 2 * rule.within_s)


def _fires(events: pl.DataFrame, rule: OwnRule) -> pl.DataFrame:
    """Every event, or the completing ones. Frames: -> FIRES."""
    events, where = events.with_row_index("row"), pl.lit(rule.where[:LONGEST])
    if rule.within_s is None:
        value, element, detail = pl.lit(None, dtype=pl.Float64), pl.col("element"), where
    else:
        events = completed(events.with_columns(pl.col("visitor").alias("chain")), rule.count, rule.within_s * 1_000)
        value = pl.col("took_ms").cast(pl.Float64)
        element = pl.when(is_one_of(told_by("element"))).then("element")  # of others it may be forgotten
        detail = pl.format(f"{rule.count} times in {{}} s: {{}}", pl.col("took_ms") // 1_000, where)
    return events.select("row", value.alias("value"), element.alias("element"), detail.alias("detail")).cast(FIRES)


Meanings = Mapping[int, str]
"""Place of a bit -> for which events it is set."""


def meanings(signals: Sequence[AnySignal]) -> Meanings:
    """What the bits of users' own signals mean."""
    return {signal.place: json.dumps([sorted(signal.rule.event_types), signal.rule.where]) for signal in signals if signal.own}


def translated(counted: pl.Expr, was: Meanings, now: Meanings) -> pl.Expr:
    """Bits in which events were kept under other settings, as they are under these; what is not asked any more is cleared."""
    found = counted & ~int(OWN_BITS) % 2**32
    for place, meaning in now.items():
        for before in (before for before in OWN_PLACES if was.get(before) == meaning):
            bit = pl.when((counted & (1 << before)) != 0).then(1 << place).otherwise(0)
            found |= bit.cast(pl.UInt32)
    return found.cast(pl.UInt32)
