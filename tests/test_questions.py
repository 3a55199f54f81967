"""The ten questions: each is one query over the `_now` views, and its answer is right."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from sinks.questions import questions
from tests.stores import Store, rows_of, store_at

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
    came = None if late_ms is None else AT
    return {"delivery_id": delivery_id, "carrier": "dhl", "country": "DE", "late_ms": late_ms, "delivered_at": came, **said}


def order(order_id: str, **said: Any) -> Row:
    return {"order_id": order_id, "case_type": "order", "opened_at": AT, **said}


def customer(customer_id: str, first: datetime, second: datetime | None = None, *, n_late: int = 0) -> Row:
    when = {"first_order_at": first, "second_order_at": second, "last_seen_at": AT}
    return {"customer_id": customer_id, "n_late_deliveries": n_late, **when}


ROWS: dict[str, list[Row]] = {
    "sessions": [
        visit("1", app_version="2", browser="Firefox", n_signals=3),
        visit("2", app_version="2", browser="Safari", n_signals=1),
        visit("3", app_version="1", browser="Safari", n_signals=1, started_at=AT - 3 * DAY, device="desktop"),
        visit("bot", is_bot=1),
    ],
    "steps": [
        step("1", "browse", 0),
        step("1", "cart", 2),
        step("2", "browse", 0),
        step("3", "browse", 0),
        step("bot", "browse", 0),
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
    ],
    "deliveries": [parcel("1", 10 * HOUR_MS), parcel("2", -HOUR_MS), parcel("3", None), parcel("4", HOUR_MS, country="AT")],
    "cases": [
        order("1", customer_id="late", is_late=1, opened_at=AT - 200 * DAY, promised_at=AT - 190 * DAY),
        order("2", customer_id="fine", opened_at=AT - 200 * DAY),
        order("3", customer_id="soon"),
        *(order(str(n), opened_at=AT) for n in range(4, 7)),
        {"order_id": "q1", "case_type": "rfq", "account_id": "firm", "opened_at": AT, "quoted_at": AT + 2 * DAY},
        {"order_id": "q2", "case_type": "rfq", "account_id": "firm", "opened_at": AT},
    ],
    "customers": [
        customer("late", AT - 200 * DAY, AT - 100 * DAY, n_late=1),
        customer("fine", AT - 200 * DAY, AT - 150 * DAY),
        customer("soon", AT),
    ],
    "contacts": [
        {"ticket_id": "t1", "team": "first", "opened_at": AT, "first_reply_ms": 60_000, "csat": 5},
        {"ticket_id": "t2", "team": "first", "opened_at": AT, "first_reply_ms": 120_000},
        {"ticket_id": "t3", "team": "second", "opened_at": AT + DAY, "first_reply_ms": 600_000, "csat": 2},
        {"ticket_id": "t4", "team": "first", "opened_at": AT, "is_outbound": 1},
    ],
    "answers": [
        {"kind": "nps", "answer_id": str(n), "score": score, "answered_at": AT, "customer_id": who}
        for n, (score, who) in enumerate([(10, "fine"), (9, "fine"), (7, "fine"), (3, "late"), (8, "")])
    ]
    + [{"kind": "nps", "answer_id": "before", "score": 9, "answered_at": AT - 195 * DAY, "customer_id": "late"}],
}
MONDAY, MARCH = date(2026, 3, 2), date(2026, 3, 1)
ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "funnel": [("shop", "desktop", "browse", 1), ("shop", "mobile", "browse", 2), ("shop", "mobile", "cart", 1)],
    "silent_rate": [("order", "delivered", "", MONDAY, 4, 4, 1.0), ("shop", "cart", "mobile", MONDAY, 5, 4, 0.8)],
    "causes_by_money": [
        ("slow_page", "shop", "EUR", 1, 9_000),
        ("delivered_by_promise", "shop", "EUR", 1, 8_000),
        ("eta_slip", "carrier", "EUR", 1, 8_000),
        ("rage_click", "shop", "EUR", 2, 7_000),
    ],
    "late_deliveries": [("dhl", "AT", 1, 1, 1.0, 1.0), ("dhl", "DE", 2, 1, 0.5, 10.0)],
    "late_and_back": [(0, 1, 1, 1.0), (1, 1, 0, 0.0)],
    "replies_by_team": [("second", 1, 10.0, 2.0, 1), ("first", 2, 1.5, 5.0, 1)],
    "contacts_per_order": [("shop", date(2025, 8, 11), 2, 0, 0.0), ("shop", MONDAY, 4, 3, 75.0)],
    "nps": [(date(2025, 8, 1), 0, 1, 100.0), (MARCH, 0, 3, 100 * 2 / 3), (MARCH, 1, 1, -100.0), (MARCH, None, 1, 0.0)],
    "days_to_quote": [("firm", 2, 1, 2.0)],
    "behind_a_spike": [
        ("browser", "Firefox", 1, 3.0, None, 3.0),
        ("app_version", "2", 2, 2.0, None, 2.0),
        ("browser", "Safari", 1, 1.0, 1.0, 0.0),
    ],
}


@pytest.fixture(scope="module")
def shop(store_dsn: str) -> Iterator[Store]:
    """A database with some rows in every table."""
    for store in store_at(store_dsn):
        with store.open() as opened:
            for table, rows in ROWS.items():
                opened.write(table, rows_of(table, *rows), token=uuid.uuid4().hex)
        yield store


def test_there_are_ten_questions_numbered_and_asked_in_words():
    assert [question.number for question in questions()] == list(range(1, 11))
    assert [question.name for question in questions()] == list(ANSWERS)
    assert all(question.text.endswith("?") for question in questions())


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.name)
def test_one_query_answers_the_question(shop, question):
    assert shop.query(question.sql).rows() == ANSWERS[question.name]
