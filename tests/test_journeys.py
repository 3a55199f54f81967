"""Whose things are: people whom only a later word makes known, and the row that follows them."""

from random import Random

import polars as pl
import pytest

from pipeline.journeys import JourneysFold
from tests.builders import clock, happened
from tests.people_line import PeopleLine

SHOP = {"site": "shop"}


def said(event_type, at, **fields):
    """An event of ticket T, under the ticket's key."""
    event = happened(event_type, at, fields, {"ticket_id": "T"})
    key = f"ticket:{event['ticket_id']}" if event["ticket_id"] else f"order:{event['order_id']}"
    return {"family": "ticket", "record_at": clock(at), "key": key, **event}


def link(key, belongs_to, at="10:00", told_by="order"):
    return {
        **SHOP,
        "family": "link",
        "event_id": at,
        "event_at": clock(at),
        "key": key,
        "belongs_to": belongs_to,
        "told_by": told_by,
    }


def left(visitor="v", session="s", **fields):
    """A cart that visitor left at 10:00."""
    lapse = {
        "expectation": "order_after_commit",
        "outcome_id": f"{visitor} {session}",
        "journey": "purchase",
        "step": "payment",
        "owner": "payments",
        "visitor_id": visitor,
        "session_id": session,
        "began_at": clock("10:00"),
        "due_at": clock("10:30"),
        "lapsed_at": clock("10:30"),
        "silent_at": clock("+1d 10:30"),
        "recovers_until": clock("+7d 10:30"),
        "status": "provisional",
    }
    return {**SHOP, "family": "lapse", "key": f"visitor:{visitor}", **lapse, **fields}


def visit(visitor="v", session="s", at="09:50", **fields):
    said = {"visitor_id": visitor, "session_id": session, "started_at": clock(at), "ended_at": clock("10:00"), "is_bot": 0}
    return {**SHOP, "family": "visit", "key": f"visitor:{visitor}", **said, **fields}


def case(order_id, at, **fields):
    said = {"order_id": order_id, "case_type": "order", "status": "open", "opened_at": clock(at), "placed_at": clock(at)}
    return {**SHOP, "family": "case", "key": f"order:{order_id}", **said, **fields}


def line():
    return PeopleLine(JourneysFold(), 5)


def of(shop, table, *columns):
    return [tuple(row[name] for name in columns) for row in shop.settle().shows(table)]


def test_a_login_after_the_verdict_and_on_another_partition_makes_an_anonymous_lapse_the_customers():
    shop = line().take(visit(), left()).time(clock("+2d 10:00"))
    assert of(shop, "outcomes", "customer_id", "status") == [("", "silent")]

    shop.take(link("visitor:v", "customer:anna", "+3d 09:00"))

    assert of(shop, "outcomes", "customer_id", "status") == [("anna", "silent")]
    assert of(shop, "customers", "customer_id", "n_sessions", "n_silent") == [("anna", 1, 1)]
    assert of(shop, "identities", "visitor_id", "customer_id", "source") == [("v", "anna", "order")]


def test_an_order_of_the_customer_found_by_a_late_login_takes_the_lapse_back():
    shop = line().take(visit(), left(), case("1", "10:20"), link("order:1", "customer:anna")).time(clock("+2d 10:00"))
    assert of(shop, "outcomes", "status") == [("silent",)]

    shop.take(link("visitor:v", "customer:anna", "+3d 09:00"))

    assert of(shop, "outcomes", "status") == []


def test_two_customers_on_one_device_stay_two():
    shop = line().take(
        visit(session="a", customer_id="anna"),
        left(session="a"),
        visit(session="b"),
        left(session="b"),
        link("visitor:v", "customer:anna", "09:55"),
        link("visitor:v", "customer:bert", "11:00"),
    )

    assert of(shop, "outcomes", "session_id", "customer_id") == [("a", "anna"), ("b", "anna")]
    shop.take(visit(session="b", at="10:59"), left(session="b", began_at=clock("11:00")))
    assert of(shop, "outcomes", "session_id", "customer_id") == [("a", "anna"), ("b", "bert")]


def test_an_order_of_a_guest_belongs_to_its_visitor_and_a_ticket_that_knows_only_the_order_to_both():
    shop = line().take(case("1", "10:20", visitor_id="v"), link("order:1", "visitor:v"))
    shop.take(visit(), left(), said("ticket_opened", "11:00", order_id="1"), link("ticket:T", "order:1", "11:00", "ticket"))

    # The guest's cart became an order within the time, so there is nothing to be silent about.
    assert of(shop, "outcomes", "expectation") == []
    shop.take(link("visitor:v", "customer:anna", "10:30"))
    assert of(shop, "contacts", "ticket_id", "customer_id") == [("T", "anna")]


@pytest.mark.parametrize("seed", [2, 4, 5])
def test_what_a_survey_of_no_ticket_shows_follows_its_order_whichever_clock_is_ahead(seed):
    shop = PeopleLine(JourneysFold(), 5, Random(seed))
    shop.take(
        case("1", "10:20"), link("order:1", "visitor:v"), said("nps_answered", "11:00", ticket_id=None, order_id="1", score=2)
    )
    shop.settle().take(link("order:1", "customer:anna", "12:00"))

    assert of(shop, "answers", "kind", "customer_id") == [("nps", "anna")]
    assert of(shop, "signals", "signal", "customer_id") == [("low_nps", "anna")]


def test_what_comes_with_only_the_id_of_its_ticket_joins_the_rest_whenever_its_customer_is_learned():
    shop = line().take(said("agent_reply", "11:30"), said("customer_message", "11:00"))
    assert of(shop, "contacts", "customer_id", "n_messages", "n_replies") == [("", 1, 1)]

    shop.take(link("ticket:T", "order:1", "11:00", "ticket")).settle()
    shop.take(link("order:1", "customer:anna")).settle()
    shop.take(said("solved", "12:00"))

    assert of(shop, "contacts", "customer_id", "n_replies", "status") == [("anna", 1, "solved")]


def test_an_event_of_a_ticket_after_long_silence_still_finds_its_customer():
    shop = line().take(said("ticket_opened", "11:00"), link("ticket:T", "customer:anna", "11:00", "ticket")).settle()
    shop.time(clock("+75d 10:00")).settle()
    assert shop.state.holders.columns("key")["key"].to_list() == ["customer:anna"]

    shop.take(said("solved", "+75d 10:30"))

    assert of(shop, "contacts", "customer_id", "opened_at", "status") == [("anna", clock("11:00"), "solved")]


def test_whose_a_key_was_is_forgotten_when_its_customer_would_be():
    shop = line().take(said("ticket_opened", "11:00"), link("ticket:T", "customer:anna", "11:00", "ticket")).settle()

    assert shop.time(clock("+730d 10:00")).settle().state.links.height == 1
    assert shop.time(clock("+731d 12:00")).settle().state.links.height == 0


def test_two_people_of_one_account_are_two():
    shop = line().take(
        said("ticket_opened", "11:00", account_id="acme", ticket_id="A"),
        said("ticket_opened", "11:00", account_id="acme", ticket_id="B"),
        visit("v", "s", customer_id="anna", account_id="acme"),
        left("v", "s"),
    )

    assert of(shop, "outcomes", "customer_id", "contacted_at") == [("anna", None)]
    assert of(shop, "contacts", "ticket_id", "customer_id") == [("A", ""), ("B", "")]


def test_a_contact_learned_after_the_verdict_corrects_it():
    shop = line().take(visit(customer_id="anna"), left()).time(clock("+2d 10:00"))
    assert of(shop, "outcomes", "status") == [("silent",)]

    shop.take(said("ticket_opened", "12:00", customer_id="anna"), link("ticket:T", "customer:anna", "12:00", "ticket"))

    assert of(shop, "outcomes", "status", "contact_ticket_id") == [("contacted", "T")]


def test_what_its_fold_takes_back_is_gone_wherever_it_was_sent():
    shop = line().take(visit(customer_id="anna"), left())
    assert len(of(shop, "outcomes", "status")) == 1

    shop.take(left(is_deleted=1))

    assert of(shop, "outcomes", "status") == []


def test_who_takes_over_takes_back_what_was_sent_where_nobody_sends_it_now():
    """The predecessor had sent a lapse to bert, and heard only then that anna had logged in before; the successor hears both at once."""
    fold = JourneysFold()
    (partition,) = (PeopleLine(fold).placed([left()])[0]["partition"],)
    first = PeopleLine(fold).take(left(), link("visitor:v", "customer:bert", "11:00"))
    sent = first.steps[-1].tables["sent"].drop("partition")  # as rows stand on their topic

    lost = fold.passed_again(
        fold.empty(), partition, {"sent": sent}, {"sent": sent.with_columns(pl.lit(1, pl.UInt8).alias("is_deleted"))}
    )

    assert [each.rows.select("outcome_id", "key", "is_gone", "own_key").rows() for each in lost] == [
        [("v s", "customer:bert", True, "visitor:v")]
    ]
    assert all(each.is_forwarded for each in lost)


def test_who_takes_over_says_the_lapse_of_an_order_again_though_its_row_does_not_name_the_visitor_with_whom_it_lies():
    lapse = left(visitor=None, session=None, outcome_id="o", order_id="1", key="order:1")
    shop = PeopleLine(JourneysFold()).take(case("1", "09:00"), lapse, link("order:1", "visitor:v", told_by="ticket")).settle()
    said = {"outcomes": shop.steps[-1].tables["outcomes"].drop("partition")}

    again = shop.fold.told_again(shop.state, 0, said)

    assert again["outcomes"].select("outcome_id", "order_id", "visitor_id").rows() == [("o", "1", "")]


def test_who_takes_over_does_not_take_a_login_back_that_the_clicks_told_later():
    shop = PeopleLine(JourneysFold()).take(link("visitor:v", "customer:anna"))
    said = {"identities": shop.steps[-1].tables["identities"].drop("partition")}
    shop.take(link("visitor:v", "customer:anna", told_by="clickstream"))

    again = shop.fold.told_again(shop.state, 0, said)

    assert again["identities"].select("visitor_id", "customer_id").rows() == [("v", "anna")]


def test_two_homes_between_which_a_ticket_is_on_its_way_say_its_row_once_a_step():
    line = PeopleLine(JourneysFold())
    line.take(said("ticket_opened", "10:00"), link("ticket:T", "visitor:v", told_by="ticket")).settle()
    line.take(link("visitor:v", "customer:bert", "11:00"), link("ticket:T", "customer:anna", "11:00", told_by="ticket")).settle()

    told = [step.tables["contacts"]["ticket_id"].to_list() for step in line.steps if "contacts" in step.tables]
    assert all(tickets == ["T"] for tickets in told)
    assert [row["customer_id"] for row in line.shows("contacts")] == ["anna"]


def test_a_record_that_comes_on_one_way_and_is_dropped_by_the_other_in_one_step_is_asked_for():
    """Two ways to one home have crossed, and their messages arrive together."""
    fold = JourneysFold()
    ticket = said("ticket_opened", "10:00")
    line = PeopleLine(fold)
    line.take(ticket, link("ticket:T", "customer:anna", told_by="ticket"))
    (copy,) = next(iter(line._on_their_way.values()))
    line._on_their_way.clear()
    line._on_their_way[0, 0] = [copy, {**copy, "is_gone": True}]
    line.settle()

    assert [row["customer_id"] for row in line.shows("contacts")] == ["anna"]
