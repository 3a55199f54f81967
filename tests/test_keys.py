"""Whose an event is, and where it goes."""

import polars as pl
import pytest

from pipeline.keys import LINKS, case_keys, case_links, contact_keys, partitions, person_links
from tests.builders import frame, happened

KNOWN = [2, 1, 3, 3, 2, 0, 0, 0]


def event(event_type="order_placed", at="10:00", **fields):
    return happened(event_type, at, fields, {})


def links(found):
    return list(found.select("key", "belongs_to").rows())


def test_an_order_is_keyed_by_its_id():
    assert case_keys(frame([event(order_id="1001")], "order")).to_list() == ["order:1001"]


@pytest.mark.parametrize(("order_id", "key"), [("1001", "order:1001"), (None, "parcel:P1"), ("", "parcel:P1")])
def test_a_delivery_goes_to_its_order_and_without_one_by_its_parcel(order_id, key):
    events = frame([event("in_transit", delivery_id="P1", order_id=order_id)], "delivery")

    assert case_keys(events).to_list() == [key]


@pytest.mark.parametrize(
    ("ids", "key"),
    [
        ({"customer_id": "anna", "visitor_id": "v", "account_id": "acme", "order_id": "1", "ticket_id": "T"}, "ticket:T"),
        ({"customer_id": "anna", "order_id": "1", "ticket_id": ""}, "order:1"),
        ({"customer_id": "anna", "visitor_id": "v", "account_id": "acme"}, "customer:anna"),
        ({"visitor_id": "v", "account_id": "acme"}, "visitor:v"),
        ({"account_id": "acme"}, "account:acme"),
        ({}, "event:e1"),
    ],
)
def test_a_ticket_lies_under_its_own_key_and_a_survey_of_none_under_that_of_its_order_or_person(ids, key):
    events = frame([event("nps_answered", event_id="e1", **ids)], "ticket")

    assert contact_keys(events).to_list() == [key]


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ({"customer_id": "anna", "visitor_id": "v"}, [("visitor:v", "customer:anna"), ("order:1", "customer:anna")]),
        ({"visitor_id": "v"}, [("order:1", "visitor:v")]),
        ({"account_id": "acme"}, []),
        ({"visitor_id": ""}, []),
    ],
)
def test_an_order_links_what_it_knows_to_the_strongest_and_never_an_account(ids, found):
    assert links(person_links(frame([event(order_id="1", **ids)], "order"), "order")) == found


def test_a_ticket_links_its_order_and_itself_to_the_customer():
    events = frame([event("ticket_opened", ticket_id="T", order_id="1", customer_id="anna")], "ticket")

    assert sorted(links(person_links(events, "ticket"))) == [("order:1", "customer:anna"), ("ticket:T", "customer:anna")]


@pytest.mark.parametrize("family", ["order", "delivery"])
def test_whoever_knows_parcel_and_order_links_the_parcel_to_the_order(family):
    events = frame(
        [event("in_transit", order_id="1", delivery_id="P1"), event("in_transit", order_id="2", delivery_id=None)], family
    )

    assert links(case_links(events, family)) == [("parcel:P1", "order:1")]


def test_a_link_is_said_once_of_a_batch_but_that_of_a_visitor_every_time():
    """A device may have several people, and time tells them apart."""
    twice = [event(order_id="1", customer_id="anna", visitor_id="v", delivery_id="P", at=at) for at in ("10:00", "11:00")]
    events = frame(twice, "order")

    assert case_links(events, "order").height == 1
    assert sorted(links(person_links(events, "order"))) == [
        ("order:1", "customer:anna"),
        ("visitor:v", "customer:anna"),
        ("visitor:v", "customer:anna"),
    ]


def test_a_link_says_which_event_knew_it():
    (row,) = person_links(frame([event(order_id="1", customer_id="anna", event_id="e9")], "order"), "order").rows(named=True)

    assert {name: row[name] for name in ("site", "event_id", "told_by")} == {"site": "shop", "event_id": "e9", "told_by": "order"}
    assert set(row) == {*LINKS, "partition"}


def test_a_key_is_one_of_its_site_and_stays_in_its_partition_for_ever():
    """These numbers are where the state of keys lies on brokers: they must never change."""
    key, site = pl.Series([f"order:{n}" for n in range(8)]), pl.Series(["shop"] * 8)

    assert partitions(site, key, 4).tolist() == KNOWN
    assert partitions(pl.Series(["other"] * 8), key, 4).tolist() != KNOWN


def test_keys_are_spread_evenly():
    key = pl.Series([f"customer:{n}" for n in range(12_000)])
    counts = pl.Series(partitions(pl.Series(["shop"] * len(key)), key, 12)).value_counts()["count"]

    assert counts.min() > 900
    assert counts.max() < 1_100
