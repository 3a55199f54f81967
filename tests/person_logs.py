"""Small sentences of which the tests of people are made: `lapse(at="10:00")`, `placed("o1", at="11:00")`; `log(...)` puts them together.

Everything is of one person, `customer:anna`, unless it says `person`; times are those of builders.clock.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import polars as pl

from pipeline.person_log import CASE, LAPSE, MOMENTS, PEOPLE, PERSON, SIGNAL, TICKETS, VISIT, PersonLog
from tests.builders import clock

Row = dict[str, Any]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def lapse(*, at: str, due: str | None = None, **fields: Any) -> Row:
    """A cart that was left: begun at that time, due half an hour later unless it is said."""
    began = clock(at)
    lapsed = clock(due) if due else began + timedelta(minutes=30)
    return {
        "person": 0,
        "site": "shop",
        "expectation": "order_after_commit",
        "outcome_id": f"left {at}",
        "journey": "shop",
        "step": "cart",
        "owner": "shop",
        "visitor_id": "v1",
        "session_id": f"s {at}",
        "began_at": began,
        "due_at": lapsed,
        "lapsed_at": lapsed,
        "silent_at": lapsed + 24 * HOUR,
        "recovers_until": lapsed + 7 * DAY,
        **fields,
    }


def of_order(order_id: str, *, at: str, due: str, expectation: str = "shipping_after_confirmation", **fields: Any) -> Row:
    """Something of an order that did not come in time."""
    whose = {"order_id": order_id, "visitor_id": None, "session_id": None}
    where = {"journey": "order", "step": "shipped", "owner": "warehouse", "outcome_id": f"{expectation} {order_id} {at}"}
    silent_at = clock(due) + 72 * HOUR
    return lapse(at=at, due=due, **{**whose, **where, "expectation": expectation, "silent_at": silent_at, **fields})


def fired(signal: str, *, at: str, weight: float = 10.0, **fields: Any) -> Row:
    """A signal, of no session and no order unless they are said."""
    said = {"person": 0, "site": "shop", "signal": signal, "signal_id": f"{signal} {at}", "fired_at": clock(at), "weight": weight}
    return {**said, **fields}


def spoke(ticket_id: str, *, at: str, **fields: Any) -> Row:
    """A moment at which the customer turned to support."""
    return {"person": 0, "at": clock(at), "ticket_id": ticket_id, "event_id": f"{ticket_id} {at}", **fields}


def placed(order_id: str, *, at: str, **fields: Any) -> Row:
    """An order."""
    when = {"opened_at": clock(at), "placed_at": clock(at)}
    return {"person": 0, "site": "shop", "order_id": order_id, "case_type": "order", "status": "open", **when, **fields}


def visit(*, at: str, until: str | None = None, **fields: Any) -> Row:
    """A visit."""
    when = {"started_at": clock(at), "ended_at": clock(until or at)}
    return {"person": 0, "site": "shop", "visitor_id": "v1", "session_id": f"s {at}", "status": "browsed", **when, **fields}


def moments(rows: Sequence[Row]) -> pl.DataFrame:
    """Frames: -> MOMENTS."""
    return _frame(rows, MOMENTS).sort("person", "at", "event_id")


def log(
    *,
    now: str = "+1d 12:00",
    people: Sequence[Mapping[str, Any]] = ({},),
    tickets: Sequence[Row] = (),
    visits: Sequence[Row] = (),
    cases: Sequence[Row] = (),
    lapses: Sequence[Row] = (),
    signals: Sequence[Row] = (),
) -> PersonLog:
    """What is known of some people, `anna` unless they are named."""
    anna = {"partition": 0, "site": "shop", "key": "customer:anna", "customer_id": "anna"}
    now_ms = int(clock(now).timestamp() * 1000)
    return PersonLog(
        _frame([{**anna, "now_ms": now_ms, **person} for person in people], PEOPLE),
        _frame(tickets, TICKETS).sort("person", "event_at", "event_id"),
        _frame(visits, pl.Schema({**PERSON, **VISIT})).sort("person", "started_at", "session_id"),
        _frame(cases, pl.Schema({**PERSON, **CASE})).sort("person", "opened_at", "order_id"),
        _frame(lapses, pl.Schema({**PERSON, **LAPSE})).sort("person", "lapsed_at", "expectation", "outcome_id"),
        _frame(signals, pl.Schema({**PERSON, **SIGNAL})).sort("person", "fired_at", "signal", "signal_id"),
    )


def _frame(rows: Sequence[Row], shape: pl.Schema) -> pl.DataFrame:
    unknown = {name for row in rows for name in row} - set(shape)
    assert not unknown, f"there is no column {sorted(unknown)}"
    return pl.DataFrame([{name: row.get(name) for name in shape} for row in rows], schema=shape)
