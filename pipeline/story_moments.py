"""Rows of the tables as moments of a story.

Frames:  a row of frames.TABLES -> story.Moment
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from pipeline.attribution import ORDER_AFTER_COMMIT
from pipeline.case_signals import JOURNEY_OF
from pipeline.friction import explained
from pipeline.lapse_words import came, lapsed_at
from pipeline.money import spelt as money
from pipeline.spans import span
from pipeline.story import ANSWER, CASE, CONTACT, EVENT, OUTCOME, SIGNAL, STEP, VISIT, Moment, Row
from pipeline.ticket_signals import TICKET_SIGNALS

_LED_NOWHERE = "browsed"
_LATER = frozenset({*JOURNEY_OF, *(each.name for each in TICKET_SIGNALS)})


def step(row: Row) -> Moment:
    """A step that was reached."""
    kind = "the goal" if row["is_goal"] else "the commit step: who leaves from here on has abandoned" if row["is_commit"] else ""
    return Moment(row["first_at"], STEP, f"reaches {row['step']}", "", kind, owner=row["owner"])


def without_openings(events: Sequence[Row], contacts: Sequence[Row]) -> list[Row]:
    """Events but those that the moment of their ticket tells."""
    opened = {(row["ticket_id"], row["opened_at"]) for row in contacts}
    return [row for row in events if row["event_type"] != "ticket_opened" or (row["ticket_id"], row["event_at"]) not in opened]


def events_and_steps(events: Sequence[Row], steps: Sequence[Row]) -> list[Moment]:
    """The event that reached a step says so; a step of which no event is stored stands for itself."""
    reached = {(row["journey"], row["step"], row["first_at"]): row for row in steps}
    told = []
    for row in events:
        at_step = reached.pop((row["journey"], row["step"], row["event_at"]), None)
        moment = event(row)
        if at_step is not None:
            said = listed((f"{at_step['journey']} reaches {at_step['step']}", moment.detail))
            moment = replace(moment, kind=STEP, detail=said, owner=at_step["owner"])
        told.append(moment)
    return [*told, *(case_step(row) if row["instance"] == "case" else step(row) for row in reached.values())]


def case_step(row: Row) -> Moment:
    """The same of a case, whose commit step is its beginning."""
    return Moment(row["first_at"], STEP, f"{row['journey']} reaches {row['step']}", owner=row["owner"])


def signal(row: Row) -> Moment:
    """Friction."""
    where = " ".join(part for part in (row["page"], row["element"]) if part) or row["ticket_id"] or row["order_id"]
    rule = f" [{row['rule']}]" if row["rule"] not in ("", "default") else ""
    return Moment(row["fired_at"], SIGNAL, f"{row['signal']}{rule}", where, row["detail"], row["weight"], row["owner"])


def is_of_visit(row: Row) -> bool:
    """Whether a signal or a lapse is of the visit itself; those of orders and tickets may name the visit in which all began."""
    return row["expectation"] == ORDER_AFTER_COMMIT if "expectation" in row else row["signal"] not in _LATER


def event(row: Row) -> Moment:
    """An event."""
    return Moment(row["event_at"], EVENT, row["event_type"], row["page"] or row["ticket_id"] or row["order_id"], row["detail"])


def lapse(row: Row) -> Moment:
    """Something expected that did not come."""
    about = row["ticket_id"] or row["delivery_id"] or row["order_id"]
    return Moment(lapsed_at(row), OUTCOME, f"{row['expectation']} lapses", about, came(row), owner=row["owner"])


def visit(row: Row, signals: Sequence[Row]) -> Moment:
    """A session in one line."""
    left = f" at {row['abandoned_step']}" if row["abandoned_step"] else ""
    value = money(row["cart_value_minor"], row["currency"])
    met = ", ".join(
        f"{f'{share.n} x ' if share.n > 1 else ''}{share.signal}"
        for share in explained((each["signal"], each["weight"]) for each in signals).shares
    )
    said = (
        row["device"],
        counted(row["n_events"], "event"),
        span(row["ended_at"] - row["started_at"]),
        f"reached {row['furthest_step']}" if row["furthest_step"] and not left else "",
        value,
        f"met {met}" if met else "",
    )
    return Moment(
        row["started_at"], VISIT, f"visit: {row['status']}{left}", row["session_id"], listed(said), row["friction_score"] or None
    )


def plain_visit(row: Row) -> Moment:
    """The same of one that led nowhere: only that it was, so that many of them are one moment."""
    return Moment(row["started_at"], VISIT, f"visit: {row['status']}")


def is_plain(row: Row) -> bool:
    """Whether a visit led nowhere, and met no friction."""
    return row["status"] == _LED_NOWHERE and not row["friction_score"]


def case(row: Row) -> list[Moment]:
    """A document in two lines at most: that it began, and what became of it."""
    what, amount = row["case_type"], money(row["amount_minor"], row["currency"])
    begun = Moment(row["opened_at"], CASE, f"{what} begins", row["order_id"], amount)
    if row["closed_at"] is not None:
        how = kept(row) if row["status"] == "delivered" else row["reason"]
        return [begun, Moment(row["closed_at"], CASE, f"{what}: {row['status']}", row["order_id"], how)]
    if row["is_late"] and row["promised_at"]:
        return [begun, Moment(row["promised_at"], CASE, f"{what}: late", row["order_id"], "promised by now, and not delivered")]
    return [begun]


def contact(row: Row) -> Moment:
    """A ticket in one line."""
    topic = f", {row['topic']}" if row["topic"] else ""
    what = f"{'the shop writes' if row['is_outbound'] else 'contacts support'}: {row['channel'] or 'ticket'}{topic}"
    return Moment(row["opened_at"], CONTACT, what, row["ticket_id"], ticket(row), owner=row["owner"])


def ticket(row: Row) -> str:
    """What became of a ticket."""
    replied = _after(
        row["first_reply_ms"], "first reply", "no reply yet" if not row["is_outbound"] and row["status"] == "open" else ""
    )
    return listed(
        (
            row["status"],
            f"about {row['order_id']}" if row["order_id"] else "",
            replied,
            "a bot alone" if row["is_bot_only"] else "",
            _after(row["resolution_ms"], "solved"),
            times(row["n_reopens"], "opened again"),
            times(row["n_transfers"], "passed on"),
            "escalated" if row["is_escalated"] else "",
            "" if row["csat"] is None else f"CSAT {row['csat']} of 5",
        )
    )


def answer(row: Row) -> Moment:
    """An answer to a survey."""
    score = "" if row["score"] is None else f"{row['score']}"
    words = "" if row["sentiment"] is None else f"words {row['sentiment']:+.2f}"
    return Moment(
        row["answered_at"],
        ANSWER,
        f"answers {row['kind']}: {score}",
        row["ticket_id"] or row["order_id"],
        words,
        owner=row["owner"],
    )


def kept(row: Row) -> str:
    """How a delivery kept its promise; '' if it has not come or nothing was promised."""
    ms = row["late_ms"]
    if ms is None:
        return ""
    return f"{span(timedelta(milliseconds=ms))} {'after' if ms > 0 else 'before'} the promise" if ms else "as promised"


def counted(n: int, what: str) -> str:
    """`1 visit`, `2 visits`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def times(n: int, what: str) -> str:
    """`its date moved`, `its date moved 2 times`; '' for never."""
    return "" if not n else f"{what} {n:,} times" if n > 1 else what


def listed(parts: Iterable[str]) -> str:
    """Those that say something."""
    return ", ".join(part for part in parts if part)


def _after(ms: int | None, what: str, absent: str = "") -> str:
    return absent if ms is None else f"{what} after {span(timedelta(milliseconds=ms))}"
