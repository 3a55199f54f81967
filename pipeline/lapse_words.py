"""A lapse as a sentence: what was expected of whom by when, what came of it, and why.

Frames:  rows of frames.OUTCOMES -> sentences
Cases:   a wait for support -> the customer has asked, so whether they asked again | an expectation that nobody knows any more -> its name | a cause whose row is not at hand -> its name
"""

from collections.abc import Iterable
from datetime import datetime

from pipeline.attribution import ORDER_AFTER_COMMIT
from pipeline.expectations import CATALOGUE
from pipeline.money import spelt as money
from pipeline.spans import span, spelt
from pipeline.story import Row

Causes = dict[str, str]
"""Id of a signal or lapse -> when it was, and what it said."""
Meanings = dict[str, str]
"""Expectation -> what it means, as a sentence."""

MEANINGS: Meanings = {each.name: each.meaning for each in CATALOGUE} | {
    ORDER_AFTER_COMMIT: "A customer who has begun to buy places an order."
}
"""Of those that ship."""

UNEXPLAINED = "Nothing that was seen explains it."


def causes_of(signals: Iterable[Row], lapses: Iterable[Row]) -> Causes:
    """What can be a cause, by its id."""
    said = {
        row["signal_id"]: f" on {spelt(row['fired_at'])}{f' ({detail})' if (detail := row['detail']) else ''}" for row in signals
    }
    return said | {row["outcome_id"]: f", which lapsed on {spelt(lapsed_at(row))}" for row in lapses}


def sentence(row: Row, causes: Causes, meanings: Meanings = MEANINGS) -> str:
    """One lapse."""
    whom = f"{row['owner']} ({row['assignee_id']})" if row["assignee_id"] else row["owner"]
    told = [f"Expected of {whom} by {spelt(row['due_at'])}: {meant(row['expectation'], meanings)}.", *_came(row)]
    if row["cause"]:
        told.append(f"Cause: {row['cause']}{causes.get(row['cause_id'], '')}.")
    return " ".join(told)


def meant(expectation: str, meanings: Meanings = MEANINGS) -> str:
    """What was expected, in words and by its name."""
    meaning = meanings.get(expectation, "").rstrip(".")
    return f"{meaning[0].lower()}{meaning[1:]} ({expectation})" if meaning else expectation


def lapsed_at(row: Row) -> datetime:
    """When it lapsed."""
    at = row["lapsed_at"] or row["due_at"]
    assert isinstance(at, datetime)
    return at


def came(row: Row) -> str:
    """What came of it, in a word or two."""
    if row["status"] == "contacted" and row["contact_ticket_id"]:
        return f"contacted by ticket {row['contact_ticket_id']}"
    return f"{row['status']}, returned" if row["returned_at"] else str(row["status"])


def _came(row: Row) -> list[str]:
    value = money(row["value_minor"], row["currency"])
    stake = f"; {value} {'was' if row['status'] == 'recovered' else 'is'} at stake" if value else ""
    told = []
    waits = bool(row["ticket_id"])  # for support itself: the customer has spoken
    match row["status"]:
        case "provisional":
            open_one = "asks again" if waits else "stays silent about it"
            told.append(f"It has not come, and whether the customer {open_one} is not decided yet{stake}.")
        case "silent":
            since = f" since {spelt(row['decided_at'])}" if row["decided_at"] else ""
            nothing = "did not ask again" if waits else "did not contact support about it"
            told.append(f"It did not come, and the customer {nothing}: silent{since}{stake}.")
        case "contacted":
            spoke = "asked again" if waits else "contacted support about it"
            told.append(f"It did not come, and the customer {spoke}{_contact(row)}{stake}.")
        case "recovered":
            spoke = "asked again" if waits else "contacted support"
            asked = f", after the customer had {spoke}{_contact(row)}" if row["contacted_at"] else ""
            told.append(f"It came{_late(row, 'recovered_at')}{asked}: recovered{stake}.")
        case other:
            told.append(f"It lapsed: {other}{stake}.")
    if row["returned_at"]:
        told.append(f"It came after all{_late(row, 'returned_at')}, when nobody waited any more: returned.")
    return told


def _contact(row: Row) -> str:
    when = f" on {spelt(row['contacted_at'])}" if row["contacted_at"] else ""
    return f"{when}{f' (ticket {ticket})' if (ticket := row['contact_ticket_id']) else ''}"


def _late(row: Row, name: str) -> str:
    at = row[name]
    return f" on {spelt(at)}, {span(at - row['due_at'])} late" if at else ""
