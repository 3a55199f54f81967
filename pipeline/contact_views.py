"""All there is to say of some people's tickets and surveys: rows, lapses, signals, and when they turned to support.

Frames:  PersonLog, SEEN -> ToldContacts
Time:    what is told depends on what is known, and lapses on `now_ms` as well; no order of arrival
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import polars as pl

from pipeline.answer_rows import answers
from pipeline.awaited_types import SEEN
from pipeline.contact_rows import contacts
from pipeline.groups import NEVER, Millis
from pipeline.journeys_rules import JourneysRules
from pipeline.moments import moments
from pipeline.person_log import CASE, LAPSE, PEOPLE, PERSON, SIGNAL, TICKETS, VISIT, PersonLog
from pipeline.sentiment import is_read, sentiments
from pipeline.ticket_links import linked_by
from pipeline.ticket_log import TicketLog
from pipeline.ticket_signal_rows import as_candidates, signal_rows
from pipeline.ticket_signals import Heard, fired
from pipeline.ticket_waits import ticket_waits


@dataclass(frozen=True)
class ToldContacts:
    """What there is to say of some people's tickets and surveys."""

    tables: dict[str, pl.DataFrame]
    """`contacts`, `answers`, `signals` -> rows: some columns of frames.TABLES, and `partition`."""
    lapses: pl.DataFrame
    """PERSON + LAPSE: what was expected of support and had not come by its due time."""
    begun: pl.DataFrame
    """BEGUN: the waits that count."""
    signals: pl.DataFrame
    """PERSON + SIGNAL: the rows of `signals`, as what may explain a lapse."""
    moments: pl.DataFrame
    """MOMENTS."""
    next_ms: Millis
    """Of each person the first time at or after now beyond which something of theirs changes by itself; NEVER: nothing does."""
    n_texts_unread: int
    """Texts of customers in a language that is not read for sentiment; a ticket's own are in its row."""


def told_contacts(log: PersonLog, seen: pl.DataFrame, rules: JourneysRules) -> ToldContacts:
    """Say everything. Frames: SEEN of the partitions."""
    if log.tickets.is_empty():  # most people never turn to support, and to find that out must cost nothing
        return replace(_nothing(), next_ms=np.full(log.people.height, NEVER, dtype=np.int64))
    return _told(log, seen, rules)


@cache
def _nothing() -> ToldContacts:
    """What there is to say where nobody has written."""
    facts = {"visits": VISIT, "cases": CASE, "lapses": LAPSE, "signals": SIGNAL}
    frames = {name: pl.DataFrame(schema={**PERSON, **fact}) for name, fact in facts.items()}
    return _told(PersonLog(PEOPLE.to_frame(), TICKETS.to_frame(), **frames), SEEN.to_frame(), JourneysRules())


def _told(log: PersonLog, seen: pl.DataFrame, rules: JourneysRules) -> ToldContacts:
    tickets = TicketLog.of(log)
    texts = _texts(tickets, rules)
    known_by, given_up_ms = linked_by(tickets, log.cases, rules)
    rows = contacts(tickets, log.cases, known_by, _of_tickets(tickets, texts), rules)
    surveys = answers(tickets, rows, log.cases, texts["sentiment"], rules)
    heard = Heard(tickets, texts["sentiment"].to_numpy(), rows["topic"], rules.ticket_signals)
    signals = signal_rows(tickets, fired(heard), rows, surveys)
    waits = ticket_waits(tickets, rows, seen, rules)
    next_ms = waits.next_ms
    person = tickets.person[tickets.begins]
    is_waited_for = given_up_ms >= log.people["now_ms"].to_numpy()[person]
    np.minimum.at(next_ms, person[is_waited_for], given_up_ms[is_waited_for])
    return ToldContacts(
        {"contacts": rows, "answers": surveys, "signals": signals.drop("person")},
        waits.lapses,
        waits.begun,
        as_candidates(signals),
        moments(tickets),
        next_ms,
        int(texts["is_unread"].sum()),
    )


def _texts(log: TicketLog, rules: JourneysRules) -> pl.DataFrame:
    """Of every event `sentiment` of what a customer wrote, null if nothing that is read; and `is_unread`."""
    first = log.of_ticket(log.tickets.first(log.has("language")))
    written = pl.Series(log.is_asked | log.is_survey, dtype=pl.Boolean) & log.events["text"].is_not_null()
    of_ticket = log.said({"language": first})["language"]
    told = log.events.select(is_read(pl.coalesce("language", of_ticket), rules.sentiment).alias("is_read"), "text").with_columns(
        written.alias("written")
    )
    read = told.select(pl.when(pl.col("written") & pl.col("is_read")).then("text").alias("sentiment"))["sentiment"]
    return pl.DataFrame([sentiments(read), (told["written"] & ~told["is_read"]).alias("is_unread")])


def _of_tickets(log: TicketLog, texts: pl.DataFrame) -> pl.DataFrame:
    """`sentiment` and `n_texts_unread` of each ticket; what is written beside a score is the survey's own."""
    score = texts["sentiment"].to_numpy()
    is_told = log.is_asked & ~np.isnan(score) & (log.ticket >= 0)
    n = log.tickets.count(is_told)
    total = np.bincount(log.ticket[is_told], weights=score[is_told], minlength=log.n)
    unread = log.tickets.count(texts["is_unread"].to_numpy() & log.is_asked)
    mean = pl.Series("sentiment", total / np.maximum(n, 1)).set(pl.Series(n == 0, dtype=pl.Boolean), None)
    return pl.DataFrame([mean, pl.Series("n_texts_unread", unread, pl.UInt32)])
