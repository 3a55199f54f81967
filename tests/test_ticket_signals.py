"""Friction with support: each signal where it fires and where it stays quiet, and what its row says."""

from datetime import timedelta

import pytest

from pipeline.frames import TABLES
from pipeline.journeys_rules import JourneysRules
from pipeline.person_log import SIGNAL
from pipeline.ticket_signals import TICKET_SIGNALS, TicketRule
from tests.builders import clock
from tests.contact_log import case, opened, ticket, told

ANGRY = "This is unacceptable, the worst service ever."


def fires(*events, rules=None):
    """Names of what fires, and when."""
    rows = told(*events, rules=rules).signals
    return [(signal, f"{at:%a %H:%M}") for signal, at in rows.select("signal", "fired_at").rows()]


def survey(kind, score, **fields):
    return ticket(f"{kind}_answered", at="10:00", ticket_id=None, score=score, **fields)


STORIES = {
    "repeat_contact": (
        [
            ("about the same order", [opened(at="10:00", order_id="o1"), opened(at="+7d 10:00", ticket_id="t2", order_id="o1")]),
            ("about the same topic", [opened(at="10:00", topic="invoice"), opened(at="12:00", ticket_id="t2", topic="invoice")]),
            (
                "about an order that is learned later",
                [opened(at="10:00", order_id="o1"), opened(at="12:00", ticket_id="t2"), ticket("assigned", at="13:00", ticket_id="t2", order_id="o1")],
            ),
            ("by telephone, after a letter", [opened(at="10:00", order_id="o1"), ticket("customer_message", at="12:00", ticket_id="t2", order_id="o1")]),
        ],
        [
            ("a week and a minute later", [opened(at="10:00", order_id="o1"), opened(at="+7d 10:01", ticket_id="t2", order_id="o1")]),
            ("about another order", [opened(at="10:00", order_id="o1"), opened(at="12:00", ticket_id="t2", order_id="o2")]),
            ("about nothing that is said", [opened(at="10:00"), opened(at="12:00", ticket_id="t2")]),
            ("by somebody else", [opened(at="10:00", order_id="o1"), opened(at="12:00", ticket_id="t2", order_id="o1", person=1)]),
            ("in the same ticket", [opened(at="10:00", order_id="o1"), ticket("customer_message", at="12:00", order_id="o1")]),
            ("by the shop", [opened(at="10:00", order_id="o1"), opened(at="12:00", ticket_id="t2", order_id="o1", is_outbound=True)]),
            (
                "in answer to the shop",
                [
                    opened(at="10:00", order_id="o1"),
                    opened(at="12:00", ticket_id="t2", order_id="o1", is_outbound=True),
                    ticket("customer_message", at="13:00", ticket_id="t2"),
                ],
            ),
            ("after the shop", [opened(at="10:00", order_id="o1", is_outbound=True), opened(at="12:00", ticket_id="t2", order_id="o1")]),
        ],
    ),
    "ticket_reopened": ([("once", [opened(at="10:00"), ticket("reopened", at="12:00")])], [("never", [opened(at="10:00"), ticket("solved", at="12:00")])]),
    "transferred_twice": (
        [("twice", [opened(at="10:00"), ticket("transferred", at="10:05"), ticket("transferred", at="12:00")])],
        [
            ("once", [opened(at="10:00"), ticket("transferred", at="12:00")]),
            ("once each", [opened(at="10:00"), opened(at="10:00", ticket_id="t2"), ticket("transferred", at="12:00"), ticket("transferred", at="12:00", ticket_id="t2")]),
        ],
    ),
    "ticket_escalated": ([("once", [opened(at="10:00"), ticket("escalated", at="12:00")])], [("assigned", [opened(at="10:00"), ticket("assigned", at="12:00")])]),
    "left_queue": (
        [
            ("before anybody came", [opened(at="10:00"), ticket("customer_left", at="12:00")]),
            ("a bot alone", [opened(at="10:00"), ticket("bot_reply", at="10:01"), ticket("customer_left", at="12:00")]),
            ("a person came later", [opened(at="10:00"), ticket("customer_left", at="12:00"), ticket("agent_reply", at="12:01")]),
        ],
        [
            ("after a reply", [opened(at="10:00"), ticket("agent_reply", at="10:30"), ticket("customer_left", at="12:00")]),
            ("after somebody joined", [opened(at="10:00"), ticket("human_joined", at="10:30"), ticket("customer_left", at="12:00")]),
        ],
    ),
    "low_csat": ([("2 of 5", [survey("csat", 2)])], [("3 of 5", [survey("csat", 3)]), ("no score", [survey("csat", None)])]),
    "low_ces": ([("3 of 7", [survey("ces", 3)])], [("4 of 7", [survey("ces", 4)])]),
    "low_nps": ([("6 of 10", [survey("nps", 6)])], [("7 of 10", [survey("nps", 7)])]),
    "negative_words": (
        [
            ("in English", [opened(at="10:00", text=ANGRY, language="en")]),
            ("beside a score", [survey("nps", 9, text=ANGRY, language="en-US")]),
            ("told by the ticket", [opened(at="10:00", text="Hello", language="en"), ticket("customer_message", at="12:00", text=ANGRY)]),
        ],
        [
            ("a complaint", [opened(at="10:00", text="I have a problem with my order.", language="en")]),
            ("kind words", [opened(at="10:00", text="Thank you, that is great!", language="en")]),
            ("in a language that is not read", [opened(at="10:00", text=ANGRY, language="de")]),
            ("in none that is said", [opened(at="10:00", text=ANGRY)]),
            ("of an agent", [opened(at="10:00", language="en"), ticket("agent_reply", at="12:00", text=ANGRY)]),
        ],
    ),
    "how_to_contact": (
        [
            ("its topic", [opened(at="10:00", topic="how_to")]),
            ("found by the agent", [opened(at="10:00", topic="other"), ticket("assigned", at="12:00", topic="how_to")]),
        ],
        [
            ("another topic", [opened(at="10:00", topic="delivery")]),
            ("no longer its topic", [opened(at="10:00", topic="how_to"), ticket("assigned", at="12:00", topic="delivery")]),
            ("begun by the shop", [opened(at="10:00", topic="how_to", is_outbound=True)]),
        ],
    ),
}  # fmt: skip
FIRES = [pytest.param(name, events, id=f"{name}: {title}") for name, (loud, _) in STORIES.items() for title, events in loud]
QUIET = [pytest.param(name, events, id=f"{name}: {title}") for name, (_, quiet) in STORIES.items() for title, events in quiet]


def test_every_signal_has_its_stories_and_says_what_it_is():
    assert set(STORIES) == {signal.name for signal in TICKET_SIGNALS}
    for signal in TICKET_SIGNALS:
        assert signal.meaning.endswith("."), signal.name
        assert signal.source, signal.name
        assert signal.measures, signal.name
        assert signal.weight > 0, signal.name


@pytest.mark.parametrize(("name", "events"), FIRES)
def test_it_fires(name, events):
    assert [signal for signal, _ in fires(*events)].count(name) == 1


@pytest.mark.parametrize(("name", "events"), QUIET)
def test_it_stays_quiet(name, events):
    assert name not in {signal for signal, _ in fires(*events)}


def test_each_fires_at_the_event_that_tells():
    talk = (
        opened(at="10:00", order_id="o1", topic="how_to"),
        *(ticket("transferred", at=f"11:0{n}") for n in range(3)),
        ticket("escalated", at="12:00"), ticket("escalated", at="12:30"),
        ticket("reopened", at="13:00"), ticket("reopened", at="14:00"),
        opened(at="15:00", ticket_id="t2", order_id="o1"), opened(at="16:00", ticket_id="t3", order_id="o1"),
    )  # fmt: skip

    assert fires(*talk) == [
        ("how_to_contact", "Mon 10:00"), ("transferred_twice", "Mon 11:01"), ("ticket_escalated", "Mon 12:00"),
        ("ticket_reopened", "Mon 13:00"), ("ticket_reopened", "Mon 14:00"), ("repeat_contact", "Mon 15:00"), ("repeat_contact", "Mon 16:00"),
    ]  # fmt: skip


def test_angry_words_are_told_once_a_ticket_and_once_an_answer():
    talk = [ticket("customer_message", at=f"1{n}:00", text=ANGRY, language="en") for n in range(3)]
    answers = [ticket("csat_answered", at=f"2{n}:00", score=5, text=ANGRY, language="en") for n in range(2)]

    assert fires(*answers[:1]) == [("negative_words", "Mon 20:00")]
    assert fires(*talk, *answers) == [("negative_words", f"Mon {at}:00") for at in (10, 20, 21)]


@pytest.mark.parametrize(
    ("events", "value"),
    [
        (STORIES["repeat_contact"][0][1][1], 2.0),
        (STORIES["transferred_twice"][0][0][1], 2.0),
        (STORIES["left_queue"][0][0][1], 7_200.0),
        (STORIES["low_nps"][0][0][1], 6.0),
        (STORIES["ticket_reopened"][0][0][1], None),
    ],
)
def test_its_value_says_how_much(events, value):
    assert told(*events).tables["signals"]["value"].to_list() == [value]


def test_the_numbers_are_settings():
    rule = TicketRule(repeat_within=timedelta(hours=1), transfers=1, low_csat=3, low_ces=4, low_nps=7, negative=-0.3)
    rules = JourneysRules(ticket_signals=rule)

    assert fires(survey("csat", 3), survey("ces", 4), survey("nps", 7), rules=rules) == [
        (name, "Mon 10:00") for name in ("low_ces", "low_csat", "low_nps")
    ]
    assert fires(opened(at="10:00"), ticket("transferred", at="11:00"), rules=rules) == [("transferred_twice", "Mon 11:00")]
    assert fires(opened(at="10:00", text="I have a problem.", language="en"), rules=rules) == [("negative_words", "Mon 10:00")]
    assert fires(*STORIES["repeat_contact"][0][1][1], rules=rules) == []
    with pytest.raises(ValueError, match="repeat_within is longer than nothing"):
        TicketRule(transfers=0)


def test_a_row_says_whose_where_and_what_it_is_about():
    out = told(
        opened(
            at="10:00",
            order_id="o1",
            channel="chat",
            topic="delivery",
            session_id="s1",
            visitor_id="v1",
            account_id="acme",
            page="/help",
        ),
        ticket("escalated", at="11:00", event_id="e9", team="parcels", page="/chat"),
        cases=[case(delivered_at=clock("09:00"))],
    )
    (row,) = TABLES["signals"].conform(out.tables["signals"]).to_dicts()

    assert {name: value for name, value in row.items() if value not in {"", 0, None}} == {
        "site": "shop", "signal": "ticket_escalated", "signal_id": row["signal_id"], "fired_at": clock("11:00"),
        "visitor_id": "v1", "session_id": "s1", "customer_id": "anna", "account_id": "acme", "order_id": "o1", "ticket_id": "t1",
        "journey": "order", "step": "delivered", "owner": "carrier", "page": "/chat", "weight": 15.0, "rule": "default",
        "detail": "chat delivery parcels",
    }  # fmt: skip
    (candidate,) = out.signals.to_dicts()
    assert {name: candidate[name] for name in SIGNAL if name in row} == {name: row[name] for name in SIGNAL}


def test_one_of_an_answer_stands_where_the_answer_does():
    other = ticket("nps_answered", at="11:00", ticket_id=None, score=9, order_id="o2")
    out = told(opened(at="09:00"), survey("nps", 2, journey="shop", step="payment", order_id="o1"), other)
    row = out.tables["signals"].row(0, named=True)

    assert (row["journey"], row["step"], row["owner"], row["order_id"], row["ticket_id"]) == (
        "shop",
        "payment",
        "payments",
        "o1",
        None,
    )


def test_ids_do_not_depend_on_what_else_is_known():
    events = opened(at="10:00", topic="how_to"), ticket("escalated", at="11:00")
    more = opened(at="08:00", ticket_id="t0", text=ANGRY, language="en"), survey("nps", 1)
    few, many = (set(told(*known).signals["signal_id"]) for known in (events, (*events, *more)))

    assert len(few) == 2
    assert few < many
