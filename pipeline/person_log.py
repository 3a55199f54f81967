"""All that is known of some people, ready to be told: what a person's rows are made of.

A *record* is an event of a ticket, or a fact that another fold has said: a visit, a case, a lapse, a signal. Here stands what is at home with these people
(homes.py says whose a record is), each record once, as it was said last.

Frames:  a row a record, with `person`, its number in PEOPLE; in the order that each schema tells
"""

from dataclasses import dataclass

import polars as pl

from pipeline.events import event_schema
from pipeline.frames import OUTCOMES, TIME, schema

PERSON = schema({"person": pl.Int64})

PEOPLE = schema(
    {
        "partition": pl.Int32,
        "site": pl.String,
        "key": pl.String,
        "customer_id": pl.String,
        "now_ms": pl.Int64,
    }
)
"""A person, numbered by place. `key` is the strongest that is known (keys.py), `customer_id` null where it is none; `now_ms`: the watermark."""

TICKETS = schema({**PERSON, **event_schema("ticket")})
"""In order of (person, event_at, event_id). A survey of no ticket is one with `ticket_id` null."""

VISIT = schema(
    {
        "site": pl.String,
        "visitor_id": pl.String,
        "session_id": pl.String,
        "customer_id": pl.String,
        "account_id": pl.String,
        "started_at": TIME,
        "ended_at": TIME,
        "journey": pl.String,
        "furthest_step": pl.String,
        "status": pl.String,
        "order_id": pl.String,
        "cart_id": pl.String,
        "is_bot": pl.UInt8,
        "is_deleted": pl.UInt8,
    }
)
"""A session as `sessions` says it."""

CASE = schema(
    {
        "site": pl.String,
        "order_id": pl.String,
        "case_type": pl.String,
        "parent_id": pl.String,
        "cart_id": pl.String,
        "session_id": pl.String,
        "visitor_id": pl.String,
        "customer_id": pl.String,
        "account_id": pl.String,
        "status": pl.String,
        "opened_at": TIME,
        "placed_at": TIME,
        "cancelled_at": TIME,
        "delivered_at": TIME,
        "is_late": pl.UInt8,
        "amount_minor": pl.Int64,
        "refund_minor": pl.Int64,
        "currency": pl.String,
        "is_deleted": pl.UInt8,
    }
)
"""A document as `fulfilment` says it. `placed_at`: the first order_placed; null: it is no order, or none yet."""

LAPSE = schema(
    {
        **{
            name: dtype
            for name, dtype in OUTCOMES.schema.items()
            if name not in ("cause", "cause_id", "contacted_at", "decided_at", "contact_ticket_id")
        },
        "cart_id": pl.String,
        "silent_at": TIME,
        "recovers_until": TIME,
    }
)
"""A wait that has lapsed, as the fold says it that saw it lapse; `is_deleted`: it came in time after all. `recovered_at` and `returned_at` are that fold's;
`silent_at`: when it is silent unless somebody made contact; `recovers_until`: what comes later is a return."""

SIGNAL = schema(
    {
        "site": pl.String,
        "signal": pl.String,
        "signal_id": pl.String,
        "fired_at": TIME,
        "visitor_id": pl.String,
        "session_id": pl.String,
        "customer_id": pl.String,
        "account_id": pl.String,
        "order_id": pl.String,
        "ticket_id": pl.String,
        "journey": pl.String,
        "step": pl.String,
        "weight": pl.Float64,
        "is_deleted": pl.UInt8,
    }
)
"""A signal that fired, as the fold says it in which it did."""

MOMENTS = schema({**PERSON, "at": TIME, "ticket_id": pl.String, "order_id": pl.String, "journey": pl.String, "event_id": pl.String})
"""When a person turned to support: every inbound event of a ticket that the customer made (opened, message, asked for a human, reopened); no survey answer.
`order_id`, `journey`: as its ticket knows them by then or later. In order of (person, at, event_id)."""

FACTS = {"visit": VISIT, "case": CASE, "lapse": LAPSE, "signal": SIGNAL}
"""Name on its way between stages -> columns."""

FACT_IDS = {
    "visit": ("site", "visitor_id", "session_id"),
    "case": ("site", "order_id"),
    "lapse": ("site", "expectation", "outcome_id"),
    "signal": ("site", "signal", "signal_id"),
}
"""What a fact is found by: one that is said again replaces the earlier one."""


@dataclass(frozen=True)
class PersonLog:
    """Some people, and what is at home with them. No fact with `is_deleted` is here."""

    people: pl.DataFrame
    """PEOPLE."""
    tickets: pl.DataFrame
    """TICKETS."""
    visits: pl.DataFrame
    """PERSON + VISIT, in order of (person, started_at, session_id)."""
    cases: pl.DataFrame
    """PERSON + CASE, in order of (person, opened_at, order_id)."""
    lapses: pl.DataFrame
    """PERSON + LAPSE, in order of (person, lapsed_at, expectation, outcome_id)."""
    signals: pl.DataFrame
    """PERSON + SIGNAL, in order of (person, fired_at, signal, signal_id)."""
