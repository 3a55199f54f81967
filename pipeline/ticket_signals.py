"""Friction with support, as the events of one person's tickets and surveys show it.

Frames:  TicketLog, the sentiment of every event -> FIRED
Cases:   a ticket that the shop began -> no repeated contact, and none about how to do something
         a third transfer, a second escalation -> told once, at the second and the first | opened again twice -> twice
         an angry word again -> once a ticket, at the first; what is written beside a score is told for itself
         slow replies and slow solutions -> none: they are expectations (ticket_waits)
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.frames import schema
from pipeline.groups import Mask, Places
from pipeline.ticket_log import HUMAN_REPLIES, TicketLog

FIRED = schema({"row": pl.Int64, "signal": pl.String, "weight": pl.Float64, "value": pl.Float64})
"""`row`: the event at which it fired, of a ticket or a survey."""

HOW_TO = "how_to"
"""The topic of who cannot do alone what should be simple."""


@dataclass(frozen=True)
class TicketRule:
    """The numbers of these signals."""

    repeat_within: timedelta = timedelta(days=7)
    """A contact so soon after another one about the same order or topic, inclusive, from first word to first word, is a repeated one."""
    transfers: int = 2
    """So many make a customer tell it all again; at least 1."""
    low_csat: int = 2
    """A satisfaction of at most so much, of 5."""
    low_ces: int = 3
    """An ease of at most so much, of 7."""
    low_nps: int = 6
    """A readiness to recommend of at most so much, of 10."""
    negative: float = -0.5
    """A sentiment of at most so much, from -1 to 1."""

    def __post_init__(self) -> None:
        """Raises: ValueError on numbers that no ticket can have."""
        if self.repeat_within <= timedelta(0) or self.transfers < 1 or not -1 <= self.negative < 0:
            message = "repeat_within is longer than nothing, transfers at least 1, negative from -1 to less than 0"
            raise ValueError(message)


@dataclass(frozen=True)
class Heard:
    """What signals are judged by."""

    log: TicketLog
    sentiment: NDArray[np.float64]
    """Of every event; NaN where nothing was read."""
    topic: pl.Series
    """Of every ticket, as said last."""
    rule: TicketRule


@dataclass(frozen=True)
class TicketSignal:
    """One signal: which events it fires at, and how much."""

    name: str
    weight: float
    meaning: str
    fires: Callable[[Heard], tuple[Places, NDArray[np.float64] | None]]
    """Rows at which it fires, and a value of each."""
    measures: str
    """What its value is."""
    source: str


def _repeat(heard: Heard) -> tuple[Places, NDArray[np.float64] | None]:
    """The first word of a ticket soon after that of another one."""
    log = heard.log
    first = np.where(log.is_outbound, -1, log.tickets.first(log.is_asked))
    ticket = np.flatnonzero(first >= 0)
    row = first[ticket]
    order_id = log.said({"order_id": log.tickets.first(log.has("order_id"))[ticket]})["order_id"]
    asked = pl.DataFrame(
        [
            pl.Series("row", row, pl.Int64),
            pl.Series("person", log.person[row], pl.Int64),
            pl.Series("ms", log.ms[row], pl.Int64),
            order_id,
            heard.topic.gather(ticket).alias("topic"),
        ]
    ).sort("person", "ms", "row")
    since = [
        pl.when(pl.col(same).is_not_null()).then(pl.col("ms") - pl.col("ms").shift(1).over("person", same))
        for same in ("order_id", "topic")
    ]
    within = heard.rule.repeat_within // timedelta(milliseconds=1)
    again = asked.select("row", pl.min_horizontal(since).alias("since_ms")).filter(pl.col("since_ms") <= within)
    return again["row"].to_numpy(), again["since_ms"].to_numpy() / 3_600_000


def _reopened(heard: Heard) -> tuple[Places, None]:
    log = heard.log
    return np.flatnonzero(log.is_of(("reopened",)) & (log.ticket >= 0)), None


def _transferred(heard: Heard) -> tuple[Places, NDArray[np.float64] | None]:
    """The transfer that is one too many."""
    log = heard.log
    rows = np.flatnonzero(log.is_of(("transferred",)) & (log.ticket >= 0))
    rows = rows[np.argsort(log.ticket[rows], kind="stable")]
    ticket = log.ticket[rows]
    nth = np.arange(len(rows)) - np.searchsorted(ticket, ticket) + 1
    found = rows[nth == heard.rule.transfers]
    n = log.tickets.count(log.is_of(("transferred",)))
    return found, n[log.ticket[found]].astype(np.float64)


def _escalated(heard: Heard) -> tuple[Places, None]:
    return _there(heard.log.tickets.first(heard.log.is_of(("escalated",)))), None


def _left(heard: Heard) -> tuple[Places, NDArray[np.float64] | None]:
    """The customer leaves before a person has come; a bot is no answer to who waits for one."""
    log = heard.log
    left = log.tickets.first(log.is_of(("customer_left",)))
    human = log.tickets.first(log.is_of((*HUMAN_REPLIES, "human_joined")))
    waited = log.tickets.first(log.is_asked)
    rows = _there(np.where((human >= 0) & (human < left), -1, left))
    since = waited[log.ticket[rows]]
    return rows, np.where(since >= 0, log.ms[rows] - log.ms[since], np.nan) / 1000


def _low(event_type: str, limit: Callable[[TicketRule], int]) -> Callable[[Heard], tuple[Places, NDArray[np.float64] | None]]:
    def fires(heard: Heard) -> tuple[Places, NDArray[np.float64] | None]:
        is_low: Mask = (heard.log.events["score"] <= limit(heard.rule)).fill_null(value=False).to_numpy()
        rows = np.flatnonzero(heard.log.is_of((event_type,)) & is_low)
        return rows, heard.log.events["score"].gather(rows).cast(pl.Float64).to_numpy()

    return fires


def _negative(heard: Heard) -> tuple[Places, NDArray[np.float64] | None]:
    log = heard.log
    is_negative = np.nan_to_num(heard.sentiment, nan=1.0) <= heard.rule.negative
    of_tickets = _there(log.tickets.first(is_negative & log.is_asked))
    rows = np.sort(np.concatenate([of_tickets, np.flatnonzero(is_negative & log.is_survey)]))
    return rows, heard.sentiment[rows]


def _how_to(heard: Heard) -> tuple[Places, None]:
    log = heard.log
    is_how_to = (heard.topic == HOW_TO).fill_null(value=False).to_numpy() & ~log.is_outbound
    return _there(np.where(is_how_to, log.tickets.first(log.is_asked), -1)), None


def _there(rows: Places) -> Places:
    return rows[rows >= 0]


TICKET_SIGNALS = (
    TicketSignal(
        "repeat_contact",
        20.0,
        "A customer turns to support again about the same order or topic.",
        _repeat,
        "hours since the contact before",
        "Ours: a week; within it the first contact was no help, after a month it may be another matter.",
    ),
    TicketSignal("ticket_reopened", 20.0, "What was called solved was not.", _reopened, "-", "Zendesk: `reopens`; each is one."),
    TicketSignal(
        "transferred_twice",
        20.0,
        "A ticket is passed on a second time.",
        _transferred,
        "transfers of the ticket",
        "Ours: once may be the right desk, twice is a customer who tells it all again.",
    ),
    TicketSignal(
        "ticket_escalated", 15.0, "A ticket goes up.", _escalated, "-", "Help desks: an event of its own; the first counts."
    ),
    TicketSignal(
        "left_queue",
        30.0,
        "A customer gives up waiting before a person has answered.",
        _left,
        "seconds waited",
        "Contact centres: abandoned contact. We count each, however short: a chat that nobody takes is left at once.",
    ),
    TicketSignal(
        "low_csat",
        20.0,
        "A customer is not satisfied.",
        _low("csat_answered", lambda rule: rule.low_csat),
        "score, 1 to 5",
        "4 and 5 of 5 are satisfied by the usual count; 3 is neither, so 1 and 2.",
    ),
    TicketSignal(
        "low_ces",
        20.0,
        "A customer found it hard.",
        _low("ces_answered", lambda rule: rule.low_ces),
        "score, 1 to 7",
        "More than 4 of 7 is easy by the usual count; 4 is neither, so 1 to 3.",
    ),
    TicketSignal(
        "low_nps",
        10.0,
        "A customer would not recommend the shop.",
        _low("nps_answered", lambda rule: rule.low_nps),
        "score, 0 to 10",
        "Net Promoter Score: 0 to 6 are detractors. It sums up what has gone wrong before, so it weighs little as a cause.",
    ),
    TicketSignal(
        "negative_words",
        15.0,
        "A customer writes angrily.",
        _negative,
        "sentiment, -1 to 1",
        "VADER calls negative what is below -0.05; a plain complaint (`a problem`, `arrived broken`) lies near -0.4, so we ask for -0.5.",
    ),
    TicketSignal(
        "how_to_contact",
        10.0,
        "A customer needs help for a simple task.",
        _how_to,
        "-",
        "Ours: the topic `how_to`, which the event contract keeps for this.",
    ),
)


def fired(heard: Heard) -> pl.DataFrame:
    """All that has fired. Frames: -> FIRED."""
    found = [FIRED.to_frame()]
    for signal in TICKET_SIGNALS:
        rows, value = signal.fires(heard)
        if len(rows):
            found.append(
                pl.DataFrame(
                    [
                        pl.Series("row", rows, pl.Int64),
                        pl.Series("signal", [signal.name] * len(rows)),
                        pl.Series("weight", np.full(len(rows), signal.weight)),
                        pl.Series("value", np.full(len(rows), np.nan) if value is None else value, pl.Float64).fill_nan(None),
                    ]
                )
            )
    return pl.concat(found)
