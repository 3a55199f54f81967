"""The story of one session: what the tables say of it, in the order in which it happened, how it ended, and where its score comes from.

Frames:  rows of frames.SESSIONS, STEPS, SIGNALS, OUTCOMES, EVENTS of one session -> Story
Cases:   events are not stored -> steps, signals and outcomes tell | the same event again and again -> one moment with a count
         what an order of it met later -> the story of that order
         the session's row is a minute behind its signals -> the score is explained as it stands in the row, and what is on its way is said
"""

from collections.abc import Sequence

from pipeline import story_moments as moments
from pipeline.friction import Explanation, explained
from pipeline.lapse_words import MEANINGS, Meanings, causes_of, sentence
from pipeline.money import spelt as money
from pipeline.story import BEGAN, ENDED, Moment, Row, Rows, Story, in_order


def session_story(session: Row, rows: Rows, meanings: Meanings = MEANINGS) -> Story:
    """Tell it. All rows name this session; of the steps those of its journey are told."""
    signals, outcomes = ([row for row in rows[name] if moments.is_of_visit(row)] for name in ("signals", "outcomes"))
    events = rows["events"]
    friction = explained((row["signal"], row["weight"]) for row in signals)
    told = [
        _began(session),
        *(moments.step(row) for row in rows["steps"] if row["journey"] == session["journey"]),
        *map(moments.signal, signals),
        *_ended(session),
        *map(moments.lapse, outcomes),
        *(moments.event({**row, "order_id": ""}) for row in events),
    ]
    causes = causes_of(signals, outcomes)
    lapses = [sentence(row, causes, meanings) for row in outcomes]
    return Story(
        "session",
        session,
        (f"{session['n_events']:,} events",),
        tuple(in_order(told)),
        (*_ending(session), *lapses, *_unexplained(session, outcomes, friction)),
        tuple(outcomes),
        friction,
        tuple(_notes(session, friction, events)),
        _further(session, rows),
    )


def _further(session: Row, rows: Rows) -> tuple[tuple[str, str], ...]:
    orders = dict.fromkeys(row["order_id"] for row in (session, *rows["signals"], *rows["outcomes"]) if row["order_id"])
    customer = [("customer", session["customer_id"])] if session["customer_id"] else []
    return (*(("order", order_id) for order_id in orders), *customer)


def _began(session: Row) -> Moment:
    said = [session[name] for name in ("device", "browser", "country", "acquisition_channel", "campaign")]
    who = f"customer {session['customer_id']}" if session["customer_id"] else "a visitor who is not known"
    return Moment(session["started_at"], BEGAN, "the session begins", session["entry_page"], moments.listed((who, *said)))


def _ended(session: Row) -> list[Moment]:
    return (
        []
        if session["status"] == "open"
        else [Moment(session["ended_at"], ENDED, f"the session ends: {session['status']}", session["exit_page"])]
    )


def _ending(session: Row) -> list[str]:
    value = money(session["cart_value_minor"], session["currency"])
    if session["status"] == "converted":
        order = f", order {session['order_id']}" if session["order_id"] else ""
        return [f"Converted: it reached the goal of journey {session['journey']}{order}{f', {value}' if value else ''}."]
    if session["status"] == "open":
        return [f"Still open: it has reached {session['furthest_step'] or 'no step'} so far."]
    if session["status"] != "abandoned":
        return [f"Browsed: it ended before the commit step, and got as far as {session['furthest_step'] or 'no step'}."]
    return [
        f"Abandoned at {session['abandoned_step']} of journey {session['journey']}{f', with {value} at stake' if value else ''}."
    ]


def _unexplained(session: Row, outcomes: Sequence[Row], friction: Explanation) -> list[str]:
    if session["status"] != "abandoned" or any(row["cause"] for row in outcomes):
        return []
    if not friction.shares:
        return ["No cause is decided, and no friction was seen before it."]
    share = friction.shares[0]
    return [f"No cause is decided; what weighs most before it is {share.signal}, {share.points:g} of {friction.points:g} points."]


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
