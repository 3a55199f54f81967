"""`visits_now`: a visit with its customer, order, contacts, outcome and cause."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.stores import rows_of

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
VISIT = {"visitor_id": "v", "session_id": "1", "started_at": AT, "ended_at": AT}


@pytest.fixture
def written(store):
    """Write rows."""
    with store.open() as opened:

        def write(table: str, *rows: dict[str, Any], version: int = 1) -> None:
            opened.write(table, rows_of(table, *rows, version=version), token=uuid.uuid4().hex)

        yield write


def lapse(**said: Any) -> dict[str, Any]:
    return {"expectation": "order_after_commit", "outcome_id": "l1", "visitor_id": "v", "session_id": "1", **said}


def test_a_visit_stands_with_all_that_followed(store, written):
    written("sessions", {**VISIT, "status": "abandoned"})
    written("identities", {"visitor_id": "v", "linked_at": AT, "customer_id": "anna"})
    written("outcomes", lapse(status="silent", cause="rage_click", cause_id="s1", owner="shop", value_minor=4_900, lapsed_at=AT))
    written("contacts", {"ticket_id": "t1", "visitor_id": "v", "session_id": "1", "opened_at": AT, "topic": "order"})

    (row,) = store.query("SELECT * FROM visits_now").to_dicts()

    assert (row["customer_id"], row["status"], row["outcome"], row["owner"]) == ("anna", "abandoned", "silent", "shop")
    assert (row["cause"], row["cause_id"], row["value_minor"], row["lapsed_at"]) == ("rage_click", "s1", 4_900, AT)
    assert (row["n_contacts"], row["first_contact_at"], row["first_ticket_id"], row["first_topic"]) == (1, AT, "t1", "order")


def test_a_visit_of_which_nothing_is_known_stands_alone(store, written):
    written("sessions", {**VISIT, "status": "browsed"})

    (row,) = store.query("SELECT * FROM visits_now").to_dicts()

    assert (row["outcome"], row["cause"], row["order_status"], row["first_ticket_id"], row["customer_id"]) == ("", "", "", "", "")
    assert (row["n_contacts"], row["is_late"]) == (0, 0)
    times = (
        "ordered_at",
        "delivered_at",
        "first_contact_at",
        "lapsed_at",
        "decided_at",
        "contacted_at",
        "recovered_at",
        "returned_at",
    )
    assert [row[name] for name in (*times, "value_minor", "order_amount_minor")] == [None] * 10


def test_the_order_is_that_of_the_clicks_else_the_first_that_names_the_visit(store, written):
    written("sessions", {**VISIT, "order_id": "o1"}, {**VISIT, "session_id": "2"}, {**VISIT, "session_id": "3", "visitor_id": "w"})
    ours = {"case_type": "order", "visitor_id": "v", "session_id": "2", "currency": "EUR", "status": "delivered"}
    written("cases", {"order_id": "o1", "case_type": "order", "opened_at": AT, "amount_minor": 100, "is_late": 1})
    written("cases", {**ours, "order_id": "o3", "opened_at": AT.replace(hour=14)}, {**ours, "order_id": "o2", "opened_at": AT})
    written("cases", {**ours, "order_id": "q1", "case_type": "rfq", "opened_at": AT.replace(hour=9)})

    found = store.query("SELECT session_id, order_id, order_status, ordered_at, is_late FROM visits_now ORDER BY session_id").rows()

    assert found == [("1", "o1", "", AT, 1), ("2", "o2", "delivered", AT, 0), ("3", "", "", None, 0)]


def test_tickets_count_once_that_name_the_visit_its_order_or_made_it_contacted(store, written):
    written("sessions", {**VISIT, "order_id": "o1"}, {**VISIT, "session_id": "2"})
    written("outcomes", lapse(status="contacted", contact_ticket_id="t3"), lapse(outcome_id="x", expectation="next_order"))
    both = {"visitor_id": "v", "session_id": "1", "order_id": "o1", "opened_at": AT.replace(hour=15)}
    written("contacts", {**both, "ticket_id": "t1"}, {"ticket_id": "t2", "order_id": "o1", "opened_at": AT.replace(hour=14)})
    written("contacts", {"ticket_id": "t3", "opened_at": AT.replace(hour=16)}, {"ticket_id": "t4", "opened_at": AT})
    written("contacts", {"ticket_id": "t5", "order_id": "o1", "is_outbound": 1, "opened_at": AT})

    found = store.query("SELECT session_id, n_contacts, first_ticket_id FROM visits_now ORDER BY session_id").rows()

    assert found == [("1", 3, "t2"), ("2", 0, "")]


def test_another_visitor_with_a_session_of_the_same_name_is_another_visit(store, written):
    written("sessions", VISIT, {**VISIT, "visitor_id": "w"})
    written("outcomes", lapse(status="silent"))
    written("contacts", {"ticket_id": "t1", "visitor_id": "w", "session_id": "1", "opened_at": AT})

    found = store.query("SELECT visitor_id, outcome, n_contacts FROM visits_now ORDER BY visitor_id").rows()

    assert found == [("v", "silent", 0), ("w", "", 1)]


def test_bots_make_no_visits_and_what_was_retracted_is_gone(store, written):
    written("sessions", VISIT, {**VISIT, "session_id": "bot", "is_bot": 1})
    written("outcomes", lapse(status="silent"))
    written("outcomes", lapse(is_deleted=1), version=2)

    assert store.query("SELECT session_id, outcome FROM visits_now").rows() == [("1", "")]


@pytest.mark.parametrize("end", ["", "SETTINGS join_use_nulls = 1", "SETTINGS final = 1"])
def test_no_visit_is_multiplied(store, written, end):
    for version in (1, 2):
        written("sessions", {**VISIT, "order_id": "o1"}, version=version)
        written("cases", {"order_id": "o1", "opened_at": AT}, version=version)
        written("outcomes", lapse(status="silent"), version=version)
        written("contacts", {"ticket_id": "t1", "order_id": "o1"}, {"ticket_id": "t2", "order_id": "o1"}, version=version)
        written("identities", *({"visitor_id": "v", "linked_at": AT.replace(hour=h), "customer_id": f"c{h}"} for h in (13, 14)))

    found = store.query(f"SELECT customer_id, outcome, n_contacts, order_id FROM visits_now {end}").rows()

    assert found == [("c13", "silent", 2, "o1")]
