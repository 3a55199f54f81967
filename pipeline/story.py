"""The story of one session: what the tables say of it, in the order in which it happened, how it ended, and where its score comes from.

Frames:  rows of frames.SESSIONS, STEPS, SIGNALS, OUTCOMES, EVENTS of one session -> Story
Cases:   events are not stored -> steps, signals and outcomes tell | the same event again and again -> one moment with a count
         the session's row is a minute behind its signals -> the score is explained as it stands in the row, and what is on its way is said
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from pipeline.friction import Explanation, explained

Row = Mapping[str, Any]

BEGAN, STEP, EVENT, SIGNAL, OUTCOME, ENDED = "began", "step", "event", "signal", "outcome", "ended"
_RANK = {kind: rank for rank, kind in enumerate((BEGAN, EVENT, STEP, SIGNAL, ENDED, OUTCOME))}
"""What is told first of what happened at the same time."""

_DECIDED = {
    "provisional": "not decided yet whether it was silent: nobody was asked whether the customer contacted support",
    "silent": "silent: the customer never contacted support about it",
    "contacted": "the customer contacted support about it",
    "recovered": "recovered: what was expected came later after all",
}


@dataclass(frozen=True)
class Moment:
    """Something that happened in the session."""

    at: datetime
    kind: str
    """BEGAN, STEP, EVENT, SIGNAL, OUTCOME or ENDED."""
    what: str
    where: str = ""
    """Page and element."""
    detail: str = ""
    points: float | None = None
    """What a signal adds to the score."""
    owner: str = ""
    """Team that answers for it."""
    n: int = 1
    """So many times, one after the other."""


@dataclass(frozen=True)
class Story:
    """One session."""

    session: Row
    """What its row says."""
    moments: tuple[Moment, ...]
    ending: tuple[str, ...]
    """How it ended, in sentences."""
    score: Explanation
    notes: tuple[str, ...]
    """What the story does not know."""

    def as_json(self) -> dict[str, Any]:
        """It as JSON."""
        score = {**asdict(self.score), "score": self.session["friction_score"], "explained": self.score.lines()}
        moments = [asdict(moment) for moment in self.moments]
        return {
            "session": dict(self.session),
            "moments": moments,
            "ending": list(self.ending),
            "score": score,
            "notes": list(self.notes),
        }


def story(session: Row, *, steps: Sequence[Row], signals: Sequence[Row], outcomes: Sequence[Row], events: Sequence[Row]) -> Story:
    """Tell it. All rows are of this session; of the steps those of its journey are told."""
    friction = explained((row["signal"], row["weight"]) for row in signals)
    moments = [
        _began(session),
        *(_step(row) for row in steps if row["journey"] == session["journey"]),
        *map(_signal, signals),
        *_ended(session),
        *map(_outcome, outcomes),
        *map(_event, events),
    ]
    ordered = sorted(moments, key=lambda moment: (moment.at, _RANK[moment.kind]))
    return Story(
        session,
        tuple(_together(ordered)),
        tuple(_ending(session, outcomes, friction)),
        friction,
        tuple(_notes(session, friction, events)),
    )


def _began(session: Row) -> Moment:
    said = [session[name] for name in ("device", "browser", "country", "acquisition_channel", "campaign") if session[name]]
    who = f"customer {session['customer_id']}" if session["customer_id"] else "a visitor who is not known"
    return Moment(session["started_at"], BEGAN, "the session begins", session["entry_page"], ", ".join((who, *said)))


def _step(row: Row) -> Moment:
    kind = "the goal" if row["is_goal"] else "the commit step: who leaves from here on has abandoned" if row["is_commit"] else ""
    return Moment(row["first_at"], STEP, f"reaches {row['step']}", "", kind, owner=row["owner"])


def _signal(row: Row) -> Moment:
    where = " ".join(part for part in (row["page"], row["element"]) if part)
    rule = f" [{row['rule']}]" if row["rule"] not in ("", "default") else ""
    return Moment(row["fired_at"], SIGNAL, f"{row['signal']}{rule}", where, row["detail"], row["weight"], row["owner"])


def _event(row: Row) -> Moment:
    return Moment(row["event_at"], EVENT, row["event_type"], row["page"], row["detail"])


def _ended(session: Row) -> list[Moment]:
    return (
        []
        if session["status"] == "open"
        else [Moment(session["ended_at"], ENDED, f"the session ends: {session['status']}", session["exit_page"])]
    )


def _outcome(row: Row) -> Moment:
    return Moment(row["lapsed_at"] or row["due_at"], OUTCOME, f"{row['expectation']} lapses", "", row["status"], owner=row["owner"])


def _together(moments: Sequence[Moment]) -> list[Moment]:
    """The same event again and again is one moment."""
    told: list[Moment] = []
    for moment in moments:
        if told and moment.kind == EVENT and replace(told[-1], at=moment.at, n=1) == moment:
            told[-1] = replace(told[-1], n=told[-1].n + 1)
        else:
            told.append(moment)
    return told


def _ending(session: Row, outcomes: Sequence[Row], friction: Explanation) -> list[str]:
    value = _money(session["cart_value_minor"], session["currency"])
    if session["status"] == "converted":
        order = f", order {session['order_id']}" if session["order_id"] else ""
        return [f"Converted: it reached the goal of journey {session['journey']}{order}{f', {value}' if value else ''}."]
    if session["status"] == "open":
        return [f"Still open: it has reached {session['furthest_step'] or 'no step'} so far."]
    if session["status"] != "abandoned":
        return [f"Browsed: it ended before the commit step, and got as far as {session['furthest_step'] or 'no step'}."]
    told = [
        f"Abandoned at {session['abandoned_step']} of journey {session['journey']}{f', with {value} at stake' if value else ''}."
    ]
    for row in outcomes:
        told.append(f"{row['expectation']}: {_DECIDED.get(row['status'], row['status'])}.")
        if row["cause"]:
            told.append(f"Cause: {row['cause']}.")
    if not any(row["cause"] for row in outcomes):
        if friction.shares:
            share = friction.shares[0]
            told.append(
                f"No cause is decided; what weighs most before it is {share.signal}, {share.points:g} of {friction.points:g} points."
            )
        else:
            told.append("No cause is decided, and no friction was seen before it.")
    return told


def _money(minor: int | None, currency: str) -> str:
    return "" if minor is None else f"{minor:,} {f'minor units of {currency}' if currency else 'minor units'}"


def _notes(session: Row, friction: Explanation, events: Sequence[Row]) -> list[str]:
    notes = []
    if not events:
        notes.append(
            "its events are not stored (settings: [store] events = true; always in up and replay): steps, signals and outcomes tell"
        )
    if session["is_bot"]:
        notes.append("an event said that a bot made it: bots feel no friction")
    if session["friction_score"] != friction.score:
        notes.append(
            f"the session's row says {session['friction_score']:g} points, its signals {friction.score:g}: one of them is on its way"
        )
    return notes
