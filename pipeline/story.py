"""A story: what the tables say of one session, order or customer, in the order in which it happened, and how it ended.

Frames:  rows of frames.TABLES -> Story, by session_story, order_story and customer_story
Cases:   the same again and again -> one moment with a count | too much to read -> what matters least is left out first, the oldest of it first
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from pipeline.friction import Explanation

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
"""Table -> its rows."""

BEGAN, VISIT, CASE, EVENT, STEP, SIGNAL = "began", "visit", "case", "event", "step", "signal"
CONTACT, ANSWER, ENDED, OUTCOME = "contact", "answer", "ended", "outcome"
_RANK = {kind: rank for rank, kind in enumerate((BEGAN, VISIT, CASE, CONTACT, ANSWER, EVENT, STEP, SIGNAL, ENDED, OUTCOME))}
"""What is told first of what happened at the same time."""
_REPEATED = (EVENT, VISIT)
_LEAST = (EVENT, STEP, VISIT)
"""What matters least, in the order in which it is left out."""


@dataclass(frozen=True)
class Moment:
    """Something that happened."""

    at: datetime
    kind: str
    """One of the kinds above."""
    what: str
    where: str = ""
    """Page and element, or the id of what it is about."""
    detail: str = ""
    points: float | None = None
    """What a signal adds to a score; of a visit its score."""
    owner: str = ""
    """Team that answers for it."""
    n: int = 1
    """So many times, one after the other."""


@dataclass(frozen=True)
class Story:
    """Of one session, order or customer."""

    about: str
    """session, order or customer."""
    row: Row
    """What its row says."""
    facts: tuple[str, ...]
    """Who and what it is, in lines."""
    moments: tuple[Moment, ...]
    ending: tuple[str, ...]
    """How it ended, and what came of all that was expected, in sentences."""
    lapses: tuple[Row, ...]
    """Rows of outcomes, those that the ending tells."""
    score: Explanation | None = None
    """Where the friction score of a session comes from."""
    notes: tuple[str, ...] = ()
    """What the story does not know, or leaves out."""
    further: tuple[tuple[str, str], ...] = ()
    """Other stories that it touches: what about, and its id."""

    def as_json(self) -> dict[str, Any]:
        """It as JSON."""
        said: dict[str, Any] = {
            self.about: dict(self.row),
            "moments": [asdict(moment) for moment in self.moments],
            "ending": list(self.ending),
            "lapses": [dict(row) for row in self.lapses],
            "notes": list(self.notes),
        }
        if self.score is not None:
            said["score"] = {**asdict(self.score), "score": self.row["friction_score"], "explained": self.score.lines()}
        return said


def in_order(moments: Iterable[Moment]) -> list[Moment]:
    """By time; the same event or visit again and again is one moment."""
    told: list[Moment] = []
    for moment in sorted(moments, key=lambda each: (each.at, _RANK[each.kind])):
        if told and moment.kind in _REPEATED and replace(told[-1], at=moment.at, n=1) == moment:
            told[-1] = replace(told[-1], n=told[-1].n + 1)
        else:
            told.append(moment)
    return told


def shortened(moments: Sequence[Moment], most: int) -> tuple[list[Moment], int]:
    """At most so many of them, and how many were left out."""
    excess = len(moments) - most
    if excess <= 0:
        return list(moments), 0
    rank = {kind: place for place, kind in enumerate(_LEAST)}
    dispensable = sorted(range(len(moments)), key=lambda place: (rank.get(moments[place].kind, len(_LEAST)), place))
    gone = set(dispensable[:excess])
    return [moment for place, moment in enumerate(moments) if place not in gone], sum(moments[place].n for place in gone)
