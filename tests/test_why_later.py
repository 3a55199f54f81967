"""`ebbtide why --order` and `--customer`: stories across the families, from rows and through a real store."""

import json

import pytest

from agents.terminal import plain
from agents.why_command import Choice, NothingToTell, customer, order, show
from pipeline.customer_story import customer_story
from pipeline.lapse_words import sentence
from pipeline.money import spelt as money
from pipeline.order_story import order_story
from pipeline.story import Story
from sinks.reader import Reader
from sinks.story_rows import TablesMissing
from tests.builders import clock
from tests.stores import rows_of, store_at

SALE = {
    "order_id": "o1", "case_type": "order", "visitor_id": "ann", "session_id": "s1", "customer_id": "c9", "journey": "order", "step": "delivered",
    "status": "delivered", "opened_at": clock("10:02"), "closed_at": clock("+6d 10:00"), "amount_minor": 4_500, "currency": "EUR",
    "promised_at": clock("+4d 10:00"), "delivered_at": clock("+6d 10:00"), "late_ms": 2 * 86_400_000, "is_late": 1, "payment_method": "card",
}  # fmt: skip
TABLES = {
    "cases": [SALE, {**SALE, "order_id": "o2", "is_late": 0, "customer_id": "", "session_id": "", "status": "open", "opened_at": clock("+7d 09:00"), "closed_at": None},
              {**SALE, "order_id": "o3", "customer_id": "", "session_id": "", "opened_at": clock("+9d 09:00")}],
    "deliveries": [{"delivery_id": "p1", "order_id": "o1", "carrier": "dhl", "status": "delivered", "shipped_at": clock("+1d 10:00"),
                    "promised_at": clock("+4d 10:00"), "delivered_at": clock("+6d 10:00"), "late_ms": 2 * 86_400_000, "n_eta_changes": 2}],
    "sessions": [
        {"visitor_id": "ann", "session_id": "s1", "customer_id": "c9", "started_at": clock("10:00"), "ended_at": clock("10:02"), "n_events": 7,
         "status": "converted", "furthest_step": "purchased", "order_id": "o1", "device": "mobile", "friction_score": 20.0},
        *({"visitor_id": "ann", "session_id": f"look {n}", "started_at": clock(f"+7d 08:0{n}"), "ended_at": clock(f"+7d 08:0{n}"),
           "status": "browsed", "furthest_step": "browse", "friction_score": 0.0} for n in range(3)),
    ],
    "identities": [{"visitor_id": "ann", "linked_at": clock("10:01"), "customer_id": "c9", "source": "clickstream"},
                   {"visitor_id": "ann", "linked_at": clock("+8d 10:00"), "customer_id": "c9", "source": "clickstream"},
                   {"visitor_id": "ann", "linked_at": clock("+9d 10:00"), "customer_id": "somebody else", "source": "clickstream"}],
    "steps": [{"instance": "case", "instance_id": "o1", "journey": "order", "step": step, "step_index": n, "owner": owner, "first_at": clock(at)}
              for n, (step, owner, at) in enumerate([("placed", "shop", "10:02"), ("delivered", "carrier", "+6d 10:00")])],
    "signals": [{"signal": "rage_click", "signal_id": "g1", "fired_at": clock("10:01"), "visitor_id": "ann", "session_id": "s1", "order_id": "o1",
                 "customer_id": "c9", "weight": 20.0, "owner": "shop", "detail": "pay"},
                {"signal": "eta_slip", "signal_id": "g2", "fired_at": clock("+3d 10:00"), "visitor_id": "ann", "session_id": "s1", "order_id": "o1",
                 "customer_id": "c9", "weight": 20.0, "owner": "carrier", "detail": "weather"}],
    "outcomes": [{"expectation": "delivered_by_promise", "outcome_id": "u1", "order_id": "o1", "delivery_id": "p1", "customer_id": "c9",
                  "owner": "carrier", "journey": "order", "step": "delivered", "began_at": clock("10:02"), "due_at": clock("+4d 10:00"),
                  "lapsed_at": clock("+4d 10:00"), "decided_at": clock("+5d 10:00"), "contacted_at": clock("+5d 10:00"),
                  "contact_ticket_id": "t1", "status": "contacted", "cause": "eta_slip", "cause_id": "g2", "value_minor": 4_500, "currency": "EUR"},
                 {"expectation": "first_reply_after_ticket", "outcome_id": "u2", "ticket_id": "t1", "customer_id": "c9", "owner": "support",
                  "began_at": clock("+5d 10:00"), "due_at": clock("+5d 18:00"), "lapsed_at": clock("+5d 18:00"), "status": "silent",
                  "decided_at": clock("+8d 18:00")}],
    "contacts": [{"ticket_id": "t1", "customer_id": "c9", "order_id": "o1", "channel": "email", "topic": "delivery", "status": "open",
                  "owner": "carrier", "opened_at": clock("+5d 10:00")}],
    "answers": [{"kind": "nps", "answer_id": "a1", "score": 3, "answered_at": clock("+6d 12:00"), "customer_id": "c9", "order_id": "o1",
                 "owner": "support"}],
    "customers": [{"customer_id": "c9", "n_sessions": 4, "n_orders": 2, "n_order_days": 2, "n_contacts": 1, "n_lapses": 2, "n_silent": 1,
                   "n_late_deliveries": 1, "loyalty_state": "at_risk", "spent_minor": 9_000, "currency": "EUR", "nps": 3}],
    "events": [
        {"family": "order", "event_id": "e1", "event_type": "order_placed", "event_at": clock("10:02"), "order_id": "o1", "journey": "order", "step": "placed"},
        {"family": "delivery", "event_id": "e2", "event_type": "in_transit", "event_at": clock("+2d 10:00"), "detail": "p1 dhl"},
        {"family": "delivery", "event_id": "e3", "event_type": "in_transit", "event_at": clock("+2d 10:00"), "detail": "p11 dhl"},
        {"family": "ticket", "event_id": "e4", "event_type": "ticket_opened", "event_at": clock("+5d 10:00"), "ticket_id": "t1"},
        {"family": "ticket", "event_id": "e5", "event_type": "customer_message", "event_at": clock("+5d 10:30"), "ticket_id": "t1"},
        *({"family": "clickstream", "event_id": f"k{n}", "event_type": "page_view", "event_at": clock(f"+7d 08:0{n}"), "visitor_id": "ann", "page": "/"}
          for n in range(5)),
    ],
}  # fmt: skip
FOUND_BY_ORDER = {name: rows_of(name, *rows).to_dicts() for name, rows in TABLES.items()}


@pytest.fixture(scope="module")
def reader(store_dsn):
    """Who looks into a store that has all of this, one for all tests: they only read."""
    for store in store_at(store_dsn):
        with store.open() as opened:
            for name, rows in TABLES.items():
                opened.write(name, rows_of(name, *rows), token="first")
            opened.write(
                "cases", rows_of("cases", {**SALE, "order_id": "o2", "customer_id": "c1", "site": "outlet"}), token="other"
            )
        with Reader(store.dsn, store.database) as reader:
            yield reader


def lines(said: Story) -> list[str]:
    told = []
    for each in said.moments:
        parts = (f"{each.at:%d %H:%M}", each.what, each.where, each.detail, f"{each.points or ''}", each.owner)
        told.append(" | ".join(part for part in parts if part) + (f" x{each.n}" if each.n > 1 else ""))
    return told


def test_an_order_is_told_from_its_visit_to_what_was_said_of_it(reader, capsys):
    said = order(reader, "o1")

    assert lines(said) == [
        "02 10:00 | visit: converted | s1 | mobile, 7 events, 2 min, reached purchased, met rage_click | 20.0",
        "02 10:01 | rage_click | pay | 20.0 | shop",
        "02 10:02 | order_placed | order reaches placed | shop",
        "04 10:00 | in_transit | p1 dhl",
        "05 10:00 | eta_slip | weather | 20.0 | carrier",
        "06 10:00 | delivered_by_promise lapses | p1 | contacted by ticket t1 | carrier",
        "07 10:00 | contacts support: email, delivery | t1 | open, about o1, no reply yet | carrier",
        "07 10:30 | customer_message | t1",
        "07 18:00 | first_reply_after_ticket lapses | t1 | silent | support",
        "08 10:00 | order reaches delivered | carrier",
        "08 12:00 | answers nps: 3 | support",
    ]
    assert said.ending == (
        "Delivered on 2026-03-08 10:00, 2 d after the promise.",
        (
            "Parcel p1, delivered: dhl, shipped 2026-03-03 10:00, promised for 2026-03-06 10:00, delivered 2026-03-08 10:00, "
            "2 d after the promise, its date moved 2 times."
        ),
        (
            "Expected of carrier by 2026-03-06 10:00: a parcel comes by the date that was promised (delivered_by_promise). It did not come, "
            "and the customer contacted support about it on 2026-03-07 10:00 (ticket t1); EUR 45.00 is at stake. "
            "Cause: eta_slip on 2026-03-05 10:00 (weather)."
        ),
        (
            "Expected of support by 2026-03-07 18:00: a customer who asks for help gets a reply, of a person or a bot "
            "(first_reply_after_ticket). It did not come, and the customer did not ask again: silent since 2026-03-10 18:00. "
            "Nothing that was seen explains it."
        ),
    )
    assert said.further == (("customer", "c9"), ("session", "s1"))
    show(said)
    out = capsys.readouterr().out
    assert "order, EUR 45.00, card" in out
    assert "ebbtide why --customer c9" in out
    assert json.loads(json.dumps(said.as_json(), default=plain))["lapses"][0]["contact_ticket_id"] == "t1"


def test_a_customer_is_told_in_short_with_the_guests_order_before_the_login(reader, capsys):
    said = customer(reader, "c9")

    assert lines(said) == [
        "02 10:00 | visit: converted | s1 | mobile, 7 events, 2 min, reached purchased, met rage_click | 20.0",
        "02 10:01 | is known on this browser | ann | by clickstream",
        "02 10:02 | order begins | o1 | EUR 45.00",
        "05 10:00 | eta_slip | o1 | weather | 20.0 | carrier",
        "06 10:00 | delivered_by_promise lapses | p1 | contacted by ticket t1 | carrier",
        "07 10:00 | contacts support: email, delivery | t1 | open, about o1, no reply yet | carrier",
        "07 18:00 | first_reply_after_ticket lapses | t1 | silent | support",
        "08 10:00 | order: delivered | o1 | 2 d after the promise",
        "08 12:00 | answers nps: 3 | o1 | support",
        "09 08:00 | visit: browsed x3",
        "09 09:00 | order begins | o2 | EUR 45.00",
    ]
    assert said.facts == (
        "at_risk, 4 visits, 2 orders on 2 days, 1 contact",
        "2 lapses, 1 of them silent, 1 late order, EUR 90.00 spent, NPS 3",
    )
    assert len(said.ending) == 2
    show(said)
    assert "EUR 90.00 spent" in capsys.readouterr().out


def test_all_of_a_customer_has_every_event_of_theirs_and_none_of_others(reader):
    events = [
        line
        for line in lines(customer(reader, "c9", is_whole=True))
        if " | page_view" in line or "_placed" in line or "_message" in line
    ]

    assert events == [
        "02 10:02 | order_placed | o1 | order reaches placed | shop",
        "07 10:30 | customer_message | t1",
        *(f"09 08:0{n} | page_view | /" for n in range(3)),
    ]


def test_what_is_not_there_and_what_is_there_twice_is_said(reader):
    both = order(reader, "o2")

    assert isinstance(both, Choice)
    assert [(row["site"], row["tables"]) for row in both.rows] == [("outlet", "cases"), ("shop", "cases")]
    assert order(reader, "o2", "outlet").row["customer_id"] == "c1"
    with pytest.raises(NothingToTell, match=r"there is no order 'o9' in chdb.*: its id is order_id in the table cases"):
        order(reader, "o9")
    with pytest.raises(
        NothingToTell, match=r"there is no customer 'c9', site 'outlet' in chdb.*: its id is customer_id in the tables customers, "
    ):
        customer(reader, "c9", "outlet")


def test_tables_of_a_later_version_are_asked_for_and_not_stumbled_over(store):
    store.command(f"DROP VIEW {store.database}.customers_now")

    with Reader(store.dsn, store.database) as reader:
        with pytest.raises(TablesMissing, match=r"lacks the table customers: .* `ebbtide migrate` makes them"):
            customer(reader, "c9")
        with pytest.raises(NothingToTell):
            order(reader, "o1")


def test_an_order_that_only_others_name_is_told_as_far_as_they_know():
    nothing = {name: [] for name in TABLES}
    said = order_story({"site": "shop", "order_id": "o1"}, {**nothing, "sessions": FOUND_BY_ORDER["sessions"][:1]})

    assert [moment.what for moment in said.moments] == ["visit: converted"]
    assert "no row in `cases`" in said.notes[0]


def test_a_customer_without_a_row_of_their_own_is_told_as_far_as_others_know():
    nothing = {name: [] for name in TABLES}
    said = customer_story({"site": "shop", "customer_id": "c9"}, {**nothing, "sessions": FOUND_BY_ORDER["sessions"]})

    assert [(moment.what, moment.n) for moment in said.moments] == [("visit: converted", 1), ("visit: browsed", 3)]
    assert said.ending == ("Nothing that was expected has failed to come.",)
    assert "no row of this customer" in said.notes[0]


def test_a_long_story_leaves_out_visits_before_orders_and_says_so():
    nothing = {name: [] for name in TABLES}
    visit = FOUND_BY_ORDER["sessions"][0]
    visits = [{**visit, "session_id": f"s{n}", "started_at": clock(f"+{n}d 10:00")} for n in range(100)]
    rows = {**nothing, "sessions": visits, "cases": FOUND_BY_ORDER["cases"][:1]}
    said, whole = (customer_story({"site": "shop", "customer_id": "c9"}, rows, is_whole=is_whole) for is_whole in (False, True))

    assert len(said.moments) == 60
    assert {"order begins", "order: delivered"} <= {moment.what for moment in said.moments}
    assert "42 moments that matter less are left out: --all tells them" in said.notes[-1]
    assert len(whole.moments) == 102


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"status": "provisional"}, "It has not come, and whether the customer stays silent about it is not decided yet."),
        ({"status": "silent", "returned_at": clock("+9d 12:00")}, "It came after all on 2026-03-11 12:00, 9 d late, when nobody waited any more: returned."),
        ({"status": "recovered", "recovered_at": clock("13:30")}, "It came on 2026-03-02 13:30, 1 h 30 min late: recovered."),
        ({"status": "recovered", "recovered_at": clock("13:30"), "contacted_at": clock("13:00"), "contact_ticket_id": "t1"},
         "late, after the customer had contacted support on 2026-03-02 13:00 (ticket t1): recovered."),
        ({"status": "silent", "assignee_id": "eva"}, "Expected of shop (eva) by 2026-03-02 12:00: own_one. It did not come, and"),
        ({"status": "silent", "ticket_id": "t1"}, "It did not come, and the customer did not ask again: silent."),
        ({"status": "provisional", "ticket_id": "t1"}, "It has not come, and whether the customer asks again is not decided yet."),
        ({"status": "contacted", "ticket_id": "t1", "contacted_at": clock("13:00"), "contact_ticket_id": "t2"},
         "It did not come, and the customer asked again on 2026-03-02 13:00 (ticket t2)."),
        ({"status": "recovered", "ticket_id": "t1", "recovered_at": clock("13:30"), "contacted_at": clock("13:00")},
         "late, after the customer had asked again on 2026-03-02 13:00: recovered."),
        ({"status": "silent", "cause": "first_scan", "cause_id": "gone"}, "silent. Cause: first_scan."),
    ],
)  # fmt: skip
def test_a_lapse_is_a_sentence(said, words):
    row = {"expectation": "own_one", "owner": "shop", "due_at": clock("12:00"), "lapsed_at": clock("12:00"), "currency": "", **said}

    assert words in sentence(rows_of("outcomes", row).to_dicts()[0], {})


def test_money_has_the_digits_of_its_currency():
    said = [money(499, "USD"), money(499, "JPY"), money(1_234_567, "KWD"), money(-5, "EUR"), money(499, ""), money(None, "EUR")]

    assert said == ["USD 4.99", "JPY 499", "KWD 1,234.567", "EUR -0.05", "499 minor units", ""]
