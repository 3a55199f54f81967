"""What a friction signal is: a rule that is a value, how far it looks back, examples, and where its numbers come from.

Frames:  a signal's `fires` gets the events that it reads and that count (its `columns`, BASE and `visitor`), in order of
         (visitor, event_ms, tie), and returns FIRES
Time:    event time; what fires at a time depends on the events in [time - looks_back, time] of one visitor, and on nothing else; only of what is
         left undone (`Closing`) it is said when the session has closed
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

import numpy as np
import polars as pl

from pipeline.friction import WEIGHTS

Rule = TypeVar("Rule")
"""A frozen dataclass: the numbers of a signal, validated when they are made."""

Happening = Mapping[str, object]
"""One event of an example: `event_type`, `at_ms`, and whatever fields of the contract matter."""

BASE = ("event_type", "event_ms", "page")
"""Columns that every signal may read without saying so."""

FIRES = pl.Schema({"row": pl.UInt32, "value": pl.Float64, "element": pl.String, "detail": pl.String})
"""Where a signal fired: `row` of the frame it was given, ascending and each once, and the evidence."""

DEFAULT = "default"
"""Name of our own rule, where vendors' stand beside it."""
CUSTOM = "custom"
"""Name of a rule that was changed in settings."""


@dataclass(frozen=True)
class Fires:
    """An example that is friction."""

    title: str
    events: tuple[Happening, ...]
    at: tuple[int, ...] = (-1,)
    """Which of the events it fires at, by place."""
    profile: str = DEFAULT


@dataclass(frozen=True)
class Quiet:
    """An example that only looks like friction."""

    title: str
    events: tuple[Happening, ...]
    profile: str = DEFAULT


def happened(event_type: str, *, at_ms: int, **said: object) -> Happening:
    """One event of an example."""
    return {"event_type": event_type, "at_ms": at_ms, **said}


def everything(_rule: object) -> pl.Expr:
    """All events of the types that are read count."""
    return pl.lit(value=True)


def in_range(signal: str, rule: object, **ranges: tuple[float, float]) -> None:
    """Hold the numbers of a rule to their ranges, both ends included. Raises: ValueError on one that is out of its range, or no number."""
    for name, (least, most) in ranges.items():
        number = getattr(rule, name)
        if not least <= number <= most:
            message = f"signal {signal}: {name} must be from {least} to {most}, not {number}"
            raise ValueError(message)


@dataclass(frozen=True)
class Closing(Generic[Rule]):
    """Something begun that must come to its end within the session: friction if the session closes, and the last that began it has no end after it."""

    begins: Callable[[Rule], pl.Expr]
    """Which events begin it, or go on with it. Never null."""
    ends: Callable[[Rule], pl.Expr]
    """Which events end it. Never null, and never true where `begins` is."""
    subject: str | None
    """Column of the contract that says what it is; an event that ends and has none ends all of them. None: there is but one."""
    detail: str
    """One line of evidence."""


OWN_PLACES = range(24, 32)
"""Places of users' own signals: the upper byte of the bits that say for which signals an event counts. The places below are those of WEIGHTS."""
OWN_BITS = np.uint32(sum(1 << place for place in OWN_PLACES))


@dataclass(frozen=True)
class Own:
    """What a user says of a signal of his own (own_signals.py)."""

    place: int
    """One of OWN_PLACES."""
    weight: float
    """Points a firing adds to the friction score."""
    owner: str = ""
    """Team that answers for it; '': that of the step."""
    journey: str = ""
    """Journey of `step`."""
    step: str = ""
    """Step at which it is told wherever it fires; '': as for every signal, that of the event or the furthest one reached by then."""


@dataclass(frozen=True)
class Signal(Generic[Rule]):
    """One kind of friction."""

    name: str
    """For ever: it stands in rows and in settings."""
    version: int
    """Raised when the same rule comes to mean something else."""
    meaning: str
    """One sentence for people."""
    measures: str
    """What `value` of a row is, with its unit."""
    reads: tuple[str, ...]
    """Event types."""
    columns: tuple[str, ...]
    """Columns of the contract that `fires` needs beside BASE: those of events that are looked back at are kept."""
    rule: Rule
    looks_back: Callable[[Rule], timedelta]
    """How long before a firing something can matter for it; nothing at all: the event alone tells."""
    fires: Callable[[pl.DataFrame, Rule], pl.DataFrame]
    """Frames: see above. Never changes what it is given."""
    evidence: tuple[str, ...]
    """Columns that a person looks at to believe it."""
    source: str
    """Why these numbers."""
    examples: tuple[Fires | Quiet, ...] = field(hash=False)
    counts: Callable[[Rule], pl.Expr] = everything
    """Which events of these types count; the others are as if they had never been. Never null."""
    sifts: tuple[str, ...] = ()
    """Further columns that `counts` alone needs, when an event comes: they are never kept."""
    told_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Columns that `fires` asks of events of some types only: column -> those types. Of others they may be forgotten."""
    marks: tuple[str, ...] = ()
    """Event types of which nothing matters but that they were there, and when: it fires at none of them, and asks nothing of them, not even the page."""
    at_furthest: bool = False
    """Whether it belongs to the furthest step reached by then, whatever step the event itself is of: a page of help is a page like any other."""
    closing: Closing[Rule] | None = None
    """What must come to an end within the session; `fires` is made of it then, for events of which nothing is missing (pipeline/closings.py)."""
    profiles: Mapping[str, Rule] = field(default_factory=dict, hash=False)
    """Rules as products published them, by the product's name."""
    profile: str = DEFAULT
    """Where the rule comes from: DEFAULT, a name of `profiles`, or CUSTOM."""
    own: Own | None = None
    """Of a user's own signal what WEIGHTS and the journeys say of the others."""

    @property
    def weight(self) -> float:
        """Points a firing adds to the friction score."""
        return WEIGHTS[self.name] if self.own is None else self.own.weight

    @property
    def place(self) -> int:
        """Its place in WEIGHTS, or among OWN_PLACES: how state knows it."""
        return _PLACES[self.name] if self.own is None else self.own.place

    @property
    def bit(self) -> np.uint32:
        """Its bit among the 32 that say for which signals an event counts: four bytes of every event that is kept."""
        return np.uint32(1 << self.place)

    @property
    def look_back(self) -> timedelta:
        """How far this signal with this rule looks back."""
        return self.looks_back(self.rule)

    def with_profile(self, name: str) -> "Signal[Rule]":
        """This signal with the rule that a product published. Raises: ValueError if there is none of that name."""
        if name == self.profile:
            return self
        rules = {DEFAULT: self.rule, **self.profiles} if self.profile == DEFAULT else dict(self.profiles)
        if name not in rules:
            message = f"signal {self.name}: no profile {name!r}{_nearest(name, rules)}; there is {', '.join(rules) or 'none'}"
            raise ValueError(message)
        return replace(self, rule=rules[name], profile=name)

    def with_rule(self, **numbers: Any) -> "Signal[Rule]":
        """This signal with some numbers of its rule changed. Raises: ValueError on one it has not, or a value out of range."""
        names = [each.name for each in fields(self.rule)]  # type: ignore[arg-type]  # every rule is a dataclass
        for name in numbers:
            if name not in names:
                message = f"signal {self.name}: its rule has no {name!r}{_nearest(name, names)}; it has {', '.join(names)}"
                raise ValueError(message)
        if not numbers:
            return self
        return replace(self, rule=replace(self.rule, **numbers), profile=CUSTOM)  # type: ignore[type-var]  # every rule is a dataclass


AnySignal = Signal[Any]

_PLACES = {name: place for place, name in enumerate(WEIGHTS)}


def _nearest(name: str, known: Any) -> str:
    found = get_close_matches(name, list(known), n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""
