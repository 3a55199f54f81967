"""What was expected of support and did not come: the engine of waits, with a ticket as the case.

Frames:  TicketLog, rows of `contacts`, SEEN -> TicketWaits
Cases:   a ticket that the shop has begun -> begins no wait | a survey -> neither begins one nor ends one
         `outcome_id` -> hash of site, expectation, ticket and the first event that armed the wait
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from pipeline.calendars import Calendars
from pipeline.case_log import CaseLog
from pipeline.expectation import Expectation
from pipeline.groups import NEVER, Millis, Places, told_ms
from pipeline.hashing import hex128
from pipeline.journeys_rules import JourneysRules
from pipeline.lapse_rows import counted, lapsed
from pipeline.people_counts import BEGUN
from pipeline.person_log import LAPSE, PERSON
from pipeline.rollups import named
from pipeline.table import TIME
from pipeline.ticket_log import TicketLog
from pipeline.waits import unmet, waits


@dataclass(frozen=True)
class _Asked:
    """What the engine wants to know."""

    expectations: tuple[Expectation, ...]
    calendars: Calendars
    promise_by: Literal["time"] = "time"


@dataclass(frozen=True)
class TicketWaits:
    """What was expected of support."""

    lapses: pl.DataFrame
    """PERSON + LAPSE: what has lapsed by now, in the order of the log of a person."""
    begun: pl.DataFrame
    """BEGUN: all waits that count."""
    next_ms: Millis
    """Of each person when something follows."""


def ticket_waits(log: TicketLog, contacts: pl.DataFrame, seen: pl.DataFrame, rules: JourneysRules) -> TicketWaits:
    """Say everything."""
    rows = np.flatnonzero((log.ticket >= 0) & ~log.marked(log.is_outbound))
    rows = rows[np.argsort(log.ticket[rows], kind="stable")]
    tickets, asked = _as_cases(log, rows), _Asked(rules.of_tickets, rules.calendars)
    begun = waits(tickets, asked)
    waiting = unmet(begun)
    over = lapsed(tickets, waiting, seen, asked.expectations, rules.seen_within)
    lapses = _rows(log, rows, contacts, over, asked.expectations)
    return TicketWaits(lapses, _begun(log, rows, counted(tickets, begun, over), asked.expectations), _next(log, waiting))


def _begun(log: TicketLog, rows: Places, waits: pl.DataFrame, expectations: tuple[Expectation, ...]) -> pl.DataFrame:
    return (
        named(expectations)[waits["expectation"].cast(pl.UInt32)]
        .with_columns(
            pl.Series("person", log.person[log.begins[waits["case"].to_numpy()]], pl.Int64),
            pl.Series("began_ms", log.ms[rows[waits["first"].to_numpy()]], pl.Int64),
            *(waits[name] for name in ("lapsed_ms", "is_met", "is_lapsed")),
        )
        .select(BEGUN.names())
    )


def _as_cases(log: TicketLog, rows: Places) -> CaseLog:
    """Each ticket a case, by its number; of the columns of a case there are those that a wait on a whole case needs."""
    whose = log.whose(log.begins)
    events = pl.DataFrame(
        {
            "case_key": log.ticket[rows].astype(np.uint64),
            "event_type": log.events["event_type"].gather(rows).cast(pl.Categorical()),
            "event_ms": log.ms[rows],
        },
        schema_overrides={"case_key": pl.UInt64},
    )
    known = whose.select(pl.Series("case_key", np.arange(log.n), pl.UInt64), "partition", "site")
    return CaseLog(known, events, log.people["now_ms"].to_numpy()[log.person[log.begins]])


def _rows(
    log: TicketLog, rows: Places, contacts: pl.DataFrame, over: pl.DataFrame, expectations: tuple[Expectation, ...]
) -> pl.DataFrame:
    ticket = over["case"].to_numpy()
    first = rows[over["first"].to_numpy()] if over.height else over["first"].to_numpy()
    lapsed_ms, met_ms, silent_ms, until_ms = (over[name].to_numpy() for name in ("lapsed_ms", "met_ms", "silent_ms", "recovery_ms"))
    is_met = met_ms != NEVER
    recovers = is_met & (met_ms <= until_ms)
    now_ms = log.people["now_ms"].to_numpy()[log.person[log.begins[ticket]]]
    definitions = pl.DataFrame(
        {name: [getattr(each, name) for each in expectations] for name in ("name", "journey", "step", "owner")},
        schema=dict.fromkeys(("name", "journey", "step", "owner"), pl.String),
    )[over["expectation"].cast(pl.UInt32)]
    of_ticket = contacts[ticket]
    found = definitions.rename({"name": "expectation"}).with_columns(
        pl.Series("person", log.person[log.begins[ticket]], pl.Int64),
        *(of_ticket[name] for name in ("site", "visitor_id", "session_id", "order_id", "ticket_id", "customer_id", "account_id")),
        of_ticket["agent_id"].alias("assignee_id"),
        hex128(of_ticket["site"], definitions["name"], of_ticket["ticket_id"], log.events["event_id"].gather(first)).alias(
            "outcome_id"
        )
        if over.height
        else pl.Series("outcome_id", [], pl.String),
        _time("began_at", log.ms[first]),
        _time("due_at", over["due_ms"].to_numpy()),
        _time("lapsed_at", lapsed_ms),
        _time("silent_at", silent_ms),
        _time("recovers_until", until_ms),
        _time("recovered_at", np.where(recovers, met_ms, NEVER)),
        _time("returned_at", np.where(is_met & ~recovers, met_ms, NEVER)),
        pl.Series("status", np.select([recovers, now_ms > silent_ms], ["recovered", "silent"], "provisional").tolist(), pl.String),
        pl.lit(0, pl.UInt8).alias("is_deleted"),
    )
    wanted = {**PERSON, **LAPSE}
    return found.select(
        pl.col(name).cast(dtype) if name in found.columns else pl.lit(None, dtype).alias(name) for name, dtype in wanted.items()
    ).sort("person", "lapsed_at", "expectation", "outcome_id")


def _next(log: TicketLog, waiting: pl.DataFrame) -> Millis:
    """Of each person the first time at or after now beyond which a wait lapses or is silent; NEVER: none does."""
    now_ms = log.people["now_ms"].to_numpy()
    following = np.full(log.people.height, NEVER, dtype=np.int64)
    whose = log.person[log.begins[waiting["case"].to_numpy()]]
    for name in ("lapsed_ms", "silent_ms"):
        ms = waiting[name].to_numpy()
        is_ahead = ms >= now_ms[whose]
        np.minimum.at(following, whose[is_ahead], ms[is_ahead])
    return following


def _time(name: str, ms: Millis) -> pl.Series:
    return told_ms(name, ms).cast(TIME)
