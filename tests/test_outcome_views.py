"""What became of a lapse: silent, contacted, recovered; never one; later."""

import json
import subprocess
import sys
from typing import Any

import pytest

from pipeline.groups import NEVER
from pipeline.journeys_rules import JourneysRules
from pipeline.outcome_views import ToldOutcomes, told_outcomes
from tests.builders import clock
from tests.person_logs import Row, fired, lapse, log, moments, of_order, placed, spoke

RULES = JourneysRules()


def told(*lapses: Row, said: tuple[Row, ...] = (), **known: Any) -> ToldOutcomes:
    whole = log(lapses=lapses, **known)
    return told_outcomes(whole, whole.lapses, whole.signals, moments(said), RULES)


def only(*lapses: Row, said: tuple[Row, ...] = (), **known: Any) -> Row:
    rows = told(*lapses, said=said, **known).rows
    assert rows.height == 1
    return rows.to_dicts()[0]


# Silence ------------------------------------------------------------------------------------------------------------------------


def test_nobody_is_silent_before_the_window_is_over():
    row = only(lapse(at="10:00"), now="+1d 10:30")

    assert (row["status"], row["decided_at"]) == ("provisional", None)


def test_who_neither_ordered_nor_wrote_was_silent():
    row = only(lapse(at="10:00"), now="+1d 10:30:00.001")

    assert (row["status"], row["decided_at"]) == ("silent", clock("+1d 10:30"))


def test_a_step_comes_back_when_somebody_may_become_silent():
    later = told(lapse(at="10:00"), lapse(at="09:00"), now="12:00").next_ms
    never = told(lapse(at="10:00"), now="+2d 12:00").next_ms

    assert later.tolist() == [int(clock("+1d 09:30").timestamp() * 1000)]
    assert never.tolist() == [NEVER]


def test_every_person_is_judged_by_the_time_in_its_own_partition():
    now = [int(clock(at).timestamp() * 1000) for at in ("12:00", "+3d 12:00")]
    people = [{"now_ms": ms, "partition": place, "customer_id": f"c{place}"} for place, ms in enumerate(now)]
    rows = told(lapse(at="10:00"), lapse(at="10:00", person=1), people=people).rows

    assert rows.select("partition", "customer_id", "status").rows() == [(0, "c0", "provisional"), (1, "c1", "silent")]


def test_a_visitor_who_is_known_by_now_stands_in_the_row_and_a_guest_stays_a_guest():
    guest = {"key": "visitor:v1", "customer_id": None}

    assert only(lapse(at="10:00"))["customer_id"] == "anna"
    assert only(lapse(at="10:00", customer_id="ben"))["customer_id"] == "anna", "with whom it is counted"
    assert only(lapse(at="10:00"), people=[guest])["customer_id"] is None


def test_where_nothing_lapsed_there_is_nothing_to_say():
    found = told()

    assert found.rows.is_empty()
    assert found.next_ms.tolist() == [NEVER]


# Orders -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "status", "recovered_at", "returned_at"),
    [
        ("09:59", "silent", None, None),
        ("10:30:00.001", "recovered", clock("10:30:00.001"), None),
        ("+7d 10:30", "recovered", clock("+7d 10:30"), None),
        ("+7d 10:31", "silent", None, clock("+7d 10:31")),
    ],
    ids=["before the wait", "just too late", "at the end of the window", "after the window"],
)
def test_an_order_recovers_the_cart_in_its_window_and_is_a_return_later(at, status, recovered_at, returned_at):
    row = only(lapse(at="10:00"), cases=[placed("o1", at=at)], now="+20d 10:00")

    assert (row["status"], row["recovered_at"], row["returned_at"]) == (status, recovered_at, returned_at)


@pytest.mark.parametrize("at", ["10:00", "10:30"])
def test_an_order_by_the_due_time_means_that_nothing_lapsed(at):
    assert told(lapse(at="10:00"), cases=[placed("o1", at=at)]).rows.is_empty()


def test_the_first_order_counts_of_several():
    row = only(lapse(at="10:00"), cases=[placed("o2", at="13:00"), placed("o1", at="12:00"), placed("o3", at="+9d 12:00")])

    assert (row["recovered_at"], row["decided_at"], row["returned_at"]) == (clock("12:00"), clock("12:00"), None)


@pytest.mark.parametrize(
    ("of_lapse", "of_order", "status"),
    [
        ("k1", "k1", "recovered"),
        ("k1", "k2", "silent"),
        (None, "k2", "recovered"),
        ("k1", None, "recovered"),
        ("k1", "", "recovered"),
    ],
)
def test_an_order_of_another_cart_is_another_matter(of_lapse, of_order, status):
    row = only(lapse(at="10:00", cart_id=of_lapse), cases=[placed("o1", at="12:00", cart_id=of_order)])

    assert row["status"] == status


def test_an_order_with_another_cart_does_not_hide_the_one_with_this():
    cases = [placed("o1", at="12:00", cart_id="k2"), placed("o2", at="13:00", cart_id="k1")]

    assert only(lapse(at="10:00", cart_id="k1"), cases=cases)["recovered_at"] == clock("13:00")


def test_a_request_for_a_quote_is_no_order():
    assert only(lapse(at="10:00"), cases=[placed("q1", at="12:00", placed_at=None, case_type="rfq")])["status"] == "silent"


def test_an_order_of_somebody_else_changes_nothing():
    people = [{}, {"key": "customer:ben", "customer_id": "ben"}]

    assert only(lapse(at="10:00"), cases=[placed("o1", at="12:00", person=1)], people=people)["status"] == "silent"


def test_another_order_does_not_ship_a_parcel():
    row = only(of_order("o1", at="10:00", due="+1d 10:00"), cases=[placed("o2", at="+1d 12:00")], now="+9d 12:00")

    assert row["status"] == "silent"


def test_what_an_order_itself_made_up_for_is_taken_as_it_was_said():
    late = of_order("o1", at="10:00", due="+1d 10:00", recovered_at=clock("+2d 10:00"))
    too_late = of_order("o1", at="10:00", due="+1d 10:00", returned_at=clock("+12d 10:00"))

    assert only(late)["status"] == "recovered"
    assert only(late)["decided_at"] == clock("+2d 10:00")
    assert (only(too_late, now="+20d 10:00")["status"], only(too_late)["returned_at"]) == ("silent", clock("+12d 10:00"))


# Contacts -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "status"),
    [
        ("09:59:59.999", "silent"),
        ("10:00", "contacted"),
        ("10:20", "contacted"),
        ("+1d 10:30", "contacted"),
        ("+1d 10:30:00.001", "silent"),
    ],
)
def test_a_contact_counts_from_the_start_of_the_wait_to_the_end_of_the_silence_window(at, status):
    assert only(lapse(at="10:00"), said=(spoke("t1", at=at),))["status"] == status


def test_a_contact_decides_at_once_but_not_before_there_is_a_lapse():
    early = only(lapse(at="10:00"), said=(spoke("t1", at="10:10"),), now="12:00")
    late = only(lapse(at="10:00"), said=(spoke("t1", at="11:00"),), now="12:00")

    assert (early["status"], early["contacted_at"], early["decided_at"]) == ("contacted", clock("10:10"), clock("10:30"))
    assert (late["contacted_at"], late["decided_at"]) == (clock("11:00"), clock("11:00"))
    assert told(lapse(at="10:00"), said=(spoke("t1", at="11:00"),), now="12:00").next_ms.tolist() == [NEVER]


def test_the_first_contact_counts_of_several():
    row = only(lapse(at="10:00"), said=(spoke("t2", at="12:00"), spoke("t1", at="11:00"), spoke("t1", at="13:00")))

    assert (row["contacted_at"], row["contact_ticket_id"]) == (clock("11:00"), "t1")


def test_of_two_contacts_at_once_the_name_of_the_event_decides():
    said = spoke("t1", at="11:00", event_id="b"), spoke("t2", at="11:00", event_id="a")

    assert only(lapse(at="10:00"), said=said)["contact_ticket_id"] == "t2"


def test_what_was_spoken_of_and_bought_after_all_is_recovered_and_keeps_its_contact():
    row = only(lapse(at="10:00"), said=(spoke("t1", at="11:00"),), cases=[placed("o1", at="12:00")])

    assert (row["status"], row["contacted_at"], row["recovered_at"]) == ("recovered", clock("11:00"), clock("12:00"))


@pytest.mark.parametrize(
    ("about", "status"),
    [
        ({"order_id": "o1"}, "contacted"),
        ({"order_id": "o1", "journey": "return"}, "contacted"),
        ({"order_id": "o2"}, "silent"),
        ({}, "contacted"),
        ({"journey": "order"}, "contacted"),
        ({"journey": "rfq"}, "silent"),
        ({"order_id": "", "journey": ""}, "contacted"),
    ],
    ids=[
        "the order",
        "the order, as it says of another journey",
        "another order",
        "nothing",
        "the journey",
        "another journey",
        "''",
    ],
)
def test_a_contact_about_something_else_is_none(about, status):
    row = only(of_order("o1", at="10:00", due="+1d 10:00"), said=(spoke("t1", at="+1d 11:00", **about),), now="+9d 10:00")

    assert row["status"] == status


def test_a_contact_about_an_order_says_nothing_of_a_cart():
    assert only(lapse(at="10:00"), said=(spoke("t1", at="11:00", order_id="o9"),))["status"] == "silent"


def test_a_contact_of_somebody_else_changes_nothing():
    people = [{}, {"key": "customer:ben", "customer_id": "ben"}]

    assert only(lapse(at="10:00"), said=(spoke("t1", at="11:00", person=1),), people=people)["status"] == "silent"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (spoke("t1", at="10:00"), "silent"),
        (spoke("t1", at="10:00:01", order_id="o7"), "contacted"),
        (spoke("t2", at="12:00"), "contacted"),
        (spoke("t2", at="12:00", order_id="o7"), "silent"),
    ],
    ids=["what began the wait", "again in its ticket", "in another ticket", "about another order"],
)
def test_who_waits_for_support_has_spoken_once_the_customer_speaks_again(said, status):
    waits = {"expectation": "first_reply", "ticket_id": "t1", "journey": "support", "step": "replied", "session_id": None}

    assert only(lapse(at="10:00", due="+1d 10:00", **waits), said=(said,), now="+9d 10:00")["status"] == status


# Many ---------------------------------------------------------------------------------------------------------------------------


def test_one_customer_who_is_many_takes_memory_as_their_rows_and_not_as_their_pairs():
    """Guests' orders under one name: 3,000 carts, 3,000 orders and 1,000 tickets; every pair of them at once takes 700 MB."""
    ended = subprocess.run([sys.executable, "-m", "tests.busy_person"], check=True, capture_output=True, text=True, timeout=120)
    found = json.loads(ended.stdout)

    assert (found["rows"], found["contacted"], found["bought"]) == (2_984, 994, 1_484), "16 were bought in time"
    assert found["bytes"] < 200_000_000


# Causes -------------------------------------------------------------------------------------------------------------------------


def test_the_row_says_what_explains_it():
    row = only(lapse(at="10:00"), signals=[fired("rage_click", at="10:05", visitor_id="v1", session_id="s 10:00")])

    assert (row["cause"], row["cause_id"]) == ("rage_click", "rage_click 10:05")


def test_what_never_lapsed_explains_nothing():
    gone = lapse(at="10:00", due="+120d 10:00", expectation="next_order", outcome_id="gone", session_id=None)
    left = lapse(at="+90d 10:00", outcome_id="left", cart_id="k1")
    bought = placed("o1", at="+90d 10:10", cart_id="k1")

    assert [row["cause_id"] for row in told(left, gone, now="+200d 10:00").rows.to_dicts()] == [None, "left"]
    assert told(left, gone, cases=[bought], now="+200d 10:00").rows["cause_id"].to_list() == [None]
