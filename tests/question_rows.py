"""Some rows in every table that the ten questions ask, with what makes a wrong query wrong: versions, retracted rows, bots, two sites, currencies, weeks without orders."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from pipeline.frames import TABLES
from tests.stores import Store, rows_of

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""A Monday."""
DAY, MINUTE, HOUR_MS = timedelta(days=1), timedelta(minutes=1), 3_600_000
Row = dict[str, Any]


def visit(session_id: str, **said: Any) -> Row:
    return {"visitor_id": "v", "session_id": session_id, "started_at": AT, "device": "mobile", **said}


def step(session_id: str, name: str, index: int) -> Row:
    where = {"instance": "session", "instance_id": f"v/{session_id}", "visitor_id": "v", "session_id": session_id}
    return {**where, "journey": "shop", "step": name, "step_index": index}


def lapse(outcome_id: str, status: str, **said: Any) -> Row:
    where = {"expectation": "order_after_commit", "journey": "shop", "step": "cart", "device": "mobile", "owner": "shop"}
    return {"outcome_id": outcome_id, "status": status, "began_at": AT, "currency": "EUR", **where, **said}


def of_parcel(cause: str, lapsed_at: datetime, **said: Any) -> Row:
    """Something about order 7 that did not come."""
    where = {"expectation": "delivered_by_promise", "journey": "order", "step": "delivered", "device": "", "owner": "carrier"}
    return {"order_id": "7", "cause": cause, "lapsed_at": lapsed_at, "value_minor": 8_000, **where, **said}


def parcel(delivery_id: str, late_ms: int | None, **said: Any) -> Row:
    where = {"carrier": "dhl", "country": "DE", "promised_at": AT}
    return {"delivery_id": delivery_id, **where, "late_ms": late_ms, "delivered_at": None if late_ms is None else AT, **said}


def order(order_id: str, **said: Any) -> Row:
    return {"order_id": order_id, "case_type": "order", "opened_at": AT, **said}


def bought(order_id: str, customer_id: str, days_ago: int, **said: Any) -> Row:
    return order(order_id, customer_id=customer_id, opened_at=AT - days_ago * DAY, **said)


ROWS: dict[str, list[Row]] = {
    "sessions": [
        visit("1", app_version="2", browser="Firefox", n_signals=3),
        visit("2", app_version="2", browser="Safari", n_signals=1),
        visit("3", app_version="1", browser="Safari", n_signals=1, started_at=AT - 3 * DAY, device="desktop"),
        visit("bot", is_bot=1, n_signals=50),
        visit("4", cart_id="cart", started_at=AT - 20 * DAY),
        visit("5", cart_id="cart", started_at=AT - 19 * DAY),
        visit("1", site="other", app_version="2", browser="Edge", n_signals=2),
    ],
    "steps": [
        step("1", "browse", 0),
        step("1", "cart", 2),
        step("2", "browse", 0),
        step("3", "browse", 0),
        step("bot", "browse", 0),
        step("1", "product", 1),
        step("2", "product", 4),  # settings gave it another place in the journey meanwhile
        {**step("o", "placed", 0), "instance": "case", "instance_id": "o"},
    ],
    "outcomes": [
        lapse("1", "silent", cause="rage_click", value_minor=5_000),
        lapse("2", "silent", cause="rage_click", value_minor=2_000),
        lapse("3", "silent", cause="slow_page", value_minor=9_000),
        lapse("4", "silent", cause="slow_page", value_minor=9_000, returned_at=AT + 9 * DAY),
        lapse("5", "contacted", cause="slow_page", value_minor=9_000),
        lapse("6", "provisional"),
        lapse("7", "silent", **of_parcel("eta_slip", AT + DAY)),
        lapse("8", "silent", **of_parcel("delivery_exception", AT + 2 * DAY)),
        lapse("9", "silent", **of_parcel("left_queue", AT, value_minor=None)),
        lapse("10", "silent", **of_parcel("delivered_by_promise", AT + 90 * DAY, expectation="next_order", owner="shop")),
        lapse("11", "silent", cause="rage_click", value_minor=600, currency="JPY"),
        lapse("12", "silent", cause="rage_click", value_minor=700_000, currency="JPY", site="other"),
        lapse("13", "silent", cause="dead_click", value_minor=4_000, lapsed_at=AT, visitor_id="v", session_id="4"),
        lapse("14", "silent", cause="slow_page", value_minor=4_500, lapsed_at=AT + DAY, visitor_id="v", session_id="5"),
        lapse("15", "silent", cause="dead_click", currency=""),
        lapse("16", "silent", value_minor=100_000),
    ],
    "deliveries": [
        parcel("1", 10 * HOUR_MS),
        parcel("2", -HOUR_MS),
        parcel("3", None),
        parcel("4", HOUR_MS, country="AT"),
        parcel("5", None, promised_at=AT - DAY),
        parcel("6", None, country="FR", promised_at=AT - 9 * DAY),
        parcel("7", None, country="NL", promised_at=AT + DAY),
        {**parcel("8", None), "delivered_at": AT, "promised_at": None},
    ],
    "cases": [
        bought("1", "late", 200, is_late=1, promised_at=AT - 190 * DAY, delivered_at=AT - 188 * DAY),
        bought("1a", "late", 189),  # while the parcel was on its way
        bought("1b", "late", 90),
        bought("2", "fine", 200, delivered_at=AT - 197 * DAY),
        bought("2a", "fine", 150, delivered_at=AT - 149 * DAY),
        bought("2b", "gone", 200, delivered_at=AT - 197 * DAY),
        bought("2c", "gone", 196, cancelled_at=AT - 195 * DAY),
        bought("2d", "never came", 300, is_late=1, promised_at=AT - 290 * DAY),
        bought("2e", "never came", 201),
        bought("2f", "who knows", 200),
        order("3", customer_id="soon", delivered_at=AT, promised_at=AT),
        *(order(str(n), opened_at=AT) for n in range(4, 7)),
        {"order_id": "q1", "case_type": "rfq", "account_id": "firm", "opened_at": AT, "quoted_at": AT + 9 * DAY, "site": "other"},
        {"order_id": "q3", "case_type": "rfq", "account_id": "waits", "opened_at": AT},
        {"order_id": "q1", "case_type": "rfq", "account_id": "firm", "opened_at": AT, "quoted_at": AT + 2 * DAY},
        {"order_id": "q2", "case_type": "rfq", "account_id": "firm", "opened_at": AT},
    ],
    "customers": [{"customer_id": "soon", "last_seen_at": AT}, {"customer_id": "fine", "last_seen_at": AT - 149 * DAY}],
    "contacts": [
        {
            "ticket_id": "t1",
            "team": "first",
            "opened_at": AT,
            "first_reply_ms": 60_000,
            "csat": 5,
            "first_human_reply_at": AT + DAY,
        },
        {"ticket_id": "t2", "team": "first", "opened_at": AT, "first_reply_ms": 120_000},
        {"ticket_id": "t3", "team": "second", "opened_at": AT + DAY, "first_reply_ms": 600_000, "csat": 2},
        {"ticket_id": "t4", "team": "first", "opened_at": AT, "is_outbound": 1},
        {"ticket_id": "t5", "team": "first", "opened_at": AT},
        {"ticket_id": "t6", "team": "", "opened_at": AT + 7 * DAY},
    ],
    "answers": [
        {"kind": "nps", "answer_id": str(n), "score": score, "answered_at": AT, "customer_id": who}
        for n, (score, who) in enumerate([(10, "fine"), (9, "fine"), (7, "fine"), (3, "late"), (8, "")])
    ]
    + [{"kind": "nps", "answer_id": "before", "score": 9, "answered_at": AT - 195 * DAY, "customer_id": "late"}],
}


def fill(store: Store) -> None:
    """Write all of them, and of every table one more that is retracted."""
    with store.open() as opened:
        for table, rows in ROWS.items():
            opened.write(table, rows_of(table, *rows), token=uuid.uuid4().hex)
            for version in gone(table, rows[0]):
                opened.write(table, version, token=uuid.uuid4().hex)


def gone(table: str, like: Row) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two versions of a row like this one with ids of its own; the second is retracted, so nothing of the first, which lies there too, may count."""
    schema = TABLES[table].schema
    ids = {name: f"{like.get(name, '')}~gone" for name in TABLES[table].key if schema[name] == pl.String and name.endswith("_id")}
    return rows_of(table, {**like, **ids}), rows_of(table, {**like, **ids, "is_deleted": 1}, version=2)
