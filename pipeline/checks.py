"""Whether an event can be what it says: the rules of the contract that Avro cannot tell.

Frames:  event_schema(family) + POSITION -> the same, and REFUSED
Time:    `event_at` is corrected by record time - `sent_at` where `sent_at` is given, and judged after that
Cases:   `record_at` null -> nothing is corrected and nothing is from the future
         an event that breaks several rules -> the first of them, in the order of `_RULES`; `unknown_type` comes last, so that rubbish is called rubbish
Source:  EVENTS.md
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import polars as pl
from schemas import contracts

from pipeline.events import event_schema
from pipeline.frames import REFUSED, TIME
from pipeline.rejects import Reason

SCORES = {"csat_answered": (1, 5), "nps_answered": (0, 10), "ces_answered": (1, 7)}
"""Answer of a survey -> its lowest and highest score."""

LONG_TEXTS = {"text"}
"""Columns to which `max_text_bytes` applies."""

EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2299, 12, 31, tzinfo=UTC)
"""What a time of the store can hold; `event_at` has bounds of its own."""

_SHOWN = 60
"""Characters of a string that a detail shows."""
_FARTHEST_MS = 1 << 61
"""Three times as far still are 64 bits."""

VERDICTS = pl.Schema({"row": pl.UInt32, "reason": pl.String, "detail": pl.String})
"""Rows of a frame that are refused, ascending, once each."""


@dataclass(frozen=True)
class Bounds:
    """What an event may be. Validates itself."""

    max_future: timedelta = timedelta(minutes=10)
    """How far `event_at` may be ahead of the Kafka record time; not negative."""
    min_event_at: datetime = datetime(1990, 1, 1, tzinfo=UTC)
    """Nothing happened before; with a time zone."""
    max_string_bytes: int = 8 << 10
    """Longest string, in UTF-8."""
    max_text_bytes: int = 64 << 10
    """Longest `text` of a ticket."""
    max_message_bytes: int = 1 << 20
    """Longest record value; at most 16 MiB."""

    def __post_init__(self) -> None:
        """Raises: ValueError."""
        if self.max_future < timedelta(0):
            message = f"max_future must not be negative, and is {self.max_future}"
            raise ValueError(message)
        if self.min_event_at.tzinfo is None or not EARLIEST <= self.min_event_at <= LATEST:
            message = f"min_event_at must be a time with a zone from {EARLIEST:%Y} to {LATEST:%Y}, and is {self.min_event_at}"
            raise ValueError(message)
        for name in ("max_string_bytes", "max_text_bytes", "max_message_bytes"):
            if not 1 <= getattr(self, name) <= 16 << 20:
                message = f"{name} must be between 1 and 16 MiB, and is {getattr(self, name)}"
                raise ValueError(message)


class Rule(NamedTuple):
    """One way to be wrong."""

    reason: Reason
    breaks: pl.Expr
    """Whether a row breaks it; null: no."""
    detail: pl.Expr
    """What to say of such a row."""


def checked(events: pl.DataFrame, family: str, bounds: Bounds) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The good events, their `event_at` corrected, and the others by where they lay. Frames: -> event_schema(family) + POSITION, REFUSED."""
    events, verdicts = judged(events, family, bounds)
    if verdicts.is_empty():
        return events, pl.DataFrame(schema=REFUSED)
    refused = pl.concat([events[verdicts["row"]].select("partition", "offset"), verdicts.drop("row")], how="horizontal")
    return without(events, verdicts), refused


def judged(events: pl.DataFrame, family: str, bounds: Bounds) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All events, their `event_at` corrected, and which of them are refused. Frames: -> the same, VERDICTS."""
    events = _corrected(events)
    if events.is_empty():
        return events, pl.DataFrame(schema=VERDICTS)
    # Next to always nothing is wrong: first ask of every rule whether any row breaks it.
    asked, questions = _rules(family, bounds)
    rules = [rule for rule, is_broken in zip(asked, events.select(questions).row(0), strict=True) if is_broken]
    if not rules:
        return events, pl.DataFrame(schema=VERDICTS)
    number = pl.coalesce(pl.when(rule.breaks).then(pl.lit(which)) for which, rule in enumerate(rules))
    found = events.with_row_index("row").with_columns(number.alias("rule")).filter(pl.col("rule").is_not_null())
    found = found.rechunk()  # pl.format of polars 2.1 panics where one column is in two chunks and another in one
    verdicts = [
        found.filter(pl.col("rule") == which).select("row", pl.lit(str(rule.reason)).alias("reason"), rule.detail.alias("detail"))
        for which, rule in enumerate(rules)
    ]
    return events, pl.concat(verdicts).cast(VERDICTS).sort("row")


def without(events: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """The events that are not refused."""
    if verdicts.is_empty():
        return events
    is_good = pl.Series([True]).new_from_index(0, events.height).scatter(verdicts["row"], False)  # noqa: FBT003 - scatter has no name for it
    return events.filter(is_good)


def one_line(text: pl.Expr) -> pl.Expr:
    """The beginning of a string of anybody's, fit for a line of a table."""
    shown = text.str.slice(0, _SHOWN).str.replace_all(r"[\p{C}\p{Z}]+", " ")
    return pl.when(text.str.len_chars() > _SHOWN).then(shown + "…").otherwise(shown)


def _corrected(events: pl.DataFrame) -> pl.DataFrame:
    if "sent_at" not in events.columns or events["sent_at"].null_count() == events.height:
        return events
    event_ms, sent_ms, record_ms = (
        pl.col(name).to_physical().clip(-_FARTHEST_MS, _FARTHEST_MS) for name in ("event_at", "sent_at", "record_at")
    )
    return events.with_columns((event_ms + (record_ms - sent_ms)).cast(TIME).fill_null(pl.col("event_at")).alias("event_at"))


@lru_cache(maxsize=64)
def _rules(family: str, bounds: Bounds) -> tuple[tuple[Rule, ...], tuple[pl.Expr, ...]]:
    """All rules of a family, and of each the question whether any row breaks it; to write them costs more than to ask them of a small frame."""
    rules = tuple(rule for make in _RULES for rule in make(family, bounds))
    return rules, tuple(rule.breaks.any().alias(str(number)) for number, rule in enumerate(rules))


def _missing(family: str, _bounds: Bounds) -> Iterable[Rule]:
    for name in contracts.required(family):
        column = pl.col(name)
        is_missing = column.is_null() | (column == "") if event_schema(family)[name] == pl.String else column.is_null()
        yield Rule(Reason.MISSING_FIELD, is_missing, pl.lit(f"{name} is missing"))


def _untimely(_family: str, bounds: Bounds) -> Iterable[Rule]:
    # Milliseconds, not durations: a time that no clock shows is told as well.
    event_ms, record_ms = pl.col("event_at").to_physical(), pl.col("record_at").to_physical()
    ahead = event_ms - record_ms
    future_ms, first_ms = bounds.max_future // timedelta(milliseconds=1), _ms(bounds.min_event_at)
    yield Rule(
        Reason.FROM_THE_FUTURE,
        event_ms > record_ms + future_ms,
        pl.format("event_at is {} s ahead of the record time, {} allowed", ahead // 1000, pl.lit(future_ms // 1000)),
    )
    first = pl.lit(f"event_at is before {bounds.min_event_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    yield Rule(Reason.BEFORE_MIN_EVENT_AT, event_ms < first_ms, first)


def _too_long(family: str, bounds: Bounds) -> Iterable[Rule]:
    for name, dtype in event_schema(family).items():
        if dtype == pl.String:
            most = bounds.max_text_bytes if name in LONG_TEXTS else bounds.max_string_bytes
            size = pl.col(name).str.len_bytes()
            yield Rule(Reason.TOO_LONG, size > most, pl.format("{} has {} bytes, {} allowed", pl.lit(name), size, pl.lit(most)))


def _out_of_range(family: str, _bounds: Bounds) -> Iterable[Rule]:
    if family == "ticket":
        for event_type, (least, most) in SCORES.items():
            score = pl.col("score")
            breaks = (pl.col("event_type") == event_type) & ~score.is_between(least, most)
            yield Rule(
                Reason.OUT_OF_RANGE, breaks, pl.format("score is {}, {} has {}..{}", score, *map(pl.lit, (event_type, least, most)))
            )
    for name, dtype in event_schema(family).items():
        if dtype == pl.Float64:
            yield Rule(Reason.OUT_OF_RANGE, ~pl.col(name).is_finite(), pl.lit(f"{name} is not a number"))
        if dtype == TIME:
            is_outside = ~pl.col(name).to_physical().is_between(_ms(EARLIEST), _ms(LATEST))
            yield Rule(Reason.OUT_OF_RANGE, is_outside, pl.lit(f"{name} is not between {EARLIEST:%Y} and {LATEST:%Y}"))


def _unknown_type(family: str, _bounds: Bounds) -> Iterable[Rule]:
    event_type = pl.col("event_type")
    yield Rule(
        Reason.UNKNOWN_TYPE,
        ~event_type.is_in(contracts.event_types(family)),
        pl.format("event_type is {}", one_line(event_type)),
    )


_RULES: tuple[Callable[[str, Bounds], Iterable[Rule]], ...] = (_missing, _untimely, _too_long, _out_of_range, _unknown_type)


def _ms(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
