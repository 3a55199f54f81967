"""What there is to say of a ticket and of an answer: every number of their rows, and when people turned to support."""

import pytest

from pipeline.frames import TABLES
from pipeline.journeys_rules import JourneysRules
from pipeline.sentiment import SentimentRule
from tests.builders import clock
from tests.contact_log import case, opened, ticket, told

HOUR_MS = 3_600_000


def rows(table, *events, **known):
    out = told(*events, **known).tables[table]
    return TABLES[table].conform(out).to_dicts()


def contact(*events, **known):
    (row,) = rows("contacts", *events, **known)
    return row


def answer(*events, **known):
    (row,) = rows("answers", *events, **known)
    return row


WHOLE = (
    opened(at="10:00", channel="chat", topic="delivery", order_id="o1", session_id="s1", visitor_id="v1", account_id="acme", priority="normal"),
    ticket("bot_reply", at="10:01"),
    ticket("customer_message", at="10:02"),
    ticket("transferred", at="10:05", team="parcels"),
    ticket("agent_reply", at="11:00", agent_id="a1", team="first_line"),
    ticket("solved", at="12:00"),
    ticket("reopened", at="13:00"),
    ticket("escalated", at="13:30", priority="urgent"),
    ticket("agent_reply", at="14:00", agent_id="a2", team="parcels", topic="lost"),
    ticket("solved", at="16:00"),
    ticket("csat_answered", at="17:00", score=4),
    ticket("csat_answered", at="17:05", score=2),
    ticket("ces_answered", at="17:10", score=6),
    ticket("closed", at="+3d 16:00"),
)  # fmt: skip


def test_a_ticket_is_one_row_with_all_its_numbers():
    assert contact(*WHOLE) == {
        "site": "shop", "ticket_id": "t1", "visitor_id": "v1", "customer_id": "anna", "account_id": "acme",
        "linked_by": "customer", "order_id": "o1", "session_id": "s1", "channel": "chat", "topic": "lost", "team": "parcels", "agent_id": "a2", "priority": "urgent", "first_priority": "normal",
        "owner": "shop", "journey": "order", "step": "placed", "is_outbound": 0,
        "opened_at": clock("10:00"), "first_reply_at": clock("10:01"), "first_human_reply_at": clock("11:00"),
        "solved_at": clock("16:00"), "closed_at": clock("+3d 16:00"), "first_reply_ms": 60_000, "resolution_ms": 6 * HOUR_MS,
        "n_messages": 1, "n_replies": 2, "n_bot_replies": 1, "n_reopens": 1, "n_transfers": 1, "is_escalated": 1, "is_bot_only": 0,
        "csat": 2, "ces": 6, "sentiment": None, "n_texts_unread": 0, "status": "closed", "is_deleted": 0, "partition": 0,
    }  # fmt: skip


def test_a_ticket_that_was_opened_again_is_not_solved_until_it_is():
    row = contact(*WHOLE[:8])

    assert (row["solved_at"], row["resolution_ms"], row["status"]) == (None, None, "open")


def test_it_opens_with_its_earliest_event_whatever_that_is():
    row = contact(opened(at="10:00"), ticket("assigned", at="09:00"), ticket("agent_reply", at="11:00"))

    assert (row["opened_at"], row["first_reply_ms"]) == (clock("09:00"), 2 * HOUR_MS)


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((), "open"),
        ((ticket("solved", at="11:00"),), "solved"),
        ((ticket("solved", at="11:00"), ticket("customer_message", at="12:00", text="Thanks")), "solved"),
        ((ticket("solved", at="11:00"), ticket("closed", at="12:00")), "closed"),
        ((ticket("customer_left", at="11:00"),), "left"),
        ((ticket("customer_left", at="11:00"), ticket("customer_message", at="12:00")), "open"),
    ],
)
def test_its_status_is_what_was_said_last(events, status):
    assert contact(opened(at="10:00"), *events)["status"] == status


def test_a_person_behind_the_bot_is_no_bot_alone():
    bot = opened(at="10:00"), ticket("bot_reply", at="10:01")

    assert contact(*bot)["is_bot_only"] == 1
    assert contact(*bot, ticket("human_joined", at="10:05"))["is_bot_only"] == 0
    assert contact(opened(at="10:00"))["is_bot_only"] == 0


def test_nobody_asked_for_what_the_shop_began():
    row = contact(opened(at="10:00", is_outbound=True), ticket("agent_reply", at="10:01"))

    assert (row["is_outbound"], row["first_reply_at"], row["first_reply_ms"], row["n_replies"]) == (1, None, None, 1)


def test_two_people_with_the_same_ticket_number_are_two_rows():
    """A ticket lies with one person; should it move, its events come from two sides for a while."""
    assert [row["customer_id"] for row in rows("contacts", opened(at="10:00"), opened(at="10:00", person=1))] == ["anna", "ben"]


@pytest.mark.parametrize(
    ("key", "said", "cases", "now", "linked_by"),
    [
        ("customer:anna", {}, (), "12:00", "customer"),
        ("visitor:v7", {}, (), "12:00", "visitor"),
        ("ticket:t1", {"account_id": "acme"}, (), "12:00", "account"),
        ("order:o1", {"order_id": "o1"}, (case(),), "+30d 12:00", "order"),
        ("order:o1", {"order_id": "o1"}, (), "12:00", ""),
        ("ticket:t1", {}, (), "+7d 10:00", ""),
        ("ticket:t1", {}, (), "+7d 10:01", "unlinked"),
        ("order:o1", {"order_id": "o1"}, (), "+7d 10:01", "unlinked"),
    ],
)
def test_a_ticket_says_by_what_its_person_is_known_and_when_nobody_is_waited_for_any_more(key, said, cases, now, linked_by):
    row = contact(opened(at="10:00", **said), keys=(key,), cases=cases, until=now)

    assert (row["linked_by"], row["ticket_id"]) == (linked_by, "t1")


def test_a_ticket_of_nobody_is_told_anew_when_it_is_given_up():
    out = told(opened(at="10:00"), keys=("ticket:t1",), until="+6d 10:00")

    assert out.next_ms.tolist() == [clock("+7d 10:00").timestamp() * 1_000]


def test_who_is_only_known_by_a_device_or_a_company_has_that():
    row = contact(opened(at="10:00"), keys=("visitor:v7",))
    of_company = contact(opened(at="10:00"), keys=("account:acme",))

    assert (row["visitor_id"], row["customer_id"]) == ("v7", "")
    assert (of_company["account_id"], of_company["customer_id"]) == ("acme", "")


@pytest.mark.parametrize(
    ("said", "cases", "place"),
    [
        ({}, (), ("support", "opened", "support")),
        ({"step": "payment"}, (), ("support", "opened", "support")),
        ({"journey": "shop", "step": "payment"}, (), ("shop", "payment", "payments")),
        ({"journey": "shop", "step": "payment", "order_id": "o1"}, (), ("shop", "payment", "payments")),
        ({"journey": "order"}, (), ("order", "placed", "shop")),
        ({"journey": "onboarding", "step": "training"}, (), ("onboarding", "training", "shop")),
        ({"journey": "loyalty"}, (), ("loyalty", "step", "support")),
        ({"order_id": "o1"}, (), ("order", "placed", "shop")),
        ({"order_id": "o1"}, (case(delivered_at=clock("09:00")),), ("order", "delivered", "carrier")),
        ({"order_id": "o1"}, (case(delivered_at=clock("11:00")),), ("order", "placed", "shop")),
        ({"order_id": "o1"}, (case(case_type="rfq"),), ("rfq", "submitted", "customer")),
        ({"order_id": "o1"}, (case(case_type="other"),), ("process", "step", "shop")),
    ],
)
def test_a_ticket_and_an_answer_belong_to_a_step_that_somebody_owns(said, cases, place):
    row = contact(opened(at="10:00", **said), cases=cases)
    of_answer = answer(ticket("nps_answered", at="10:00", ticket_id=None, score=9, **said), cases=cases)

    assert tuple(row[name] for name in ("journey", "step", "owner")) == place
    expected = ("support", "solved", "support") if place[0] == "support" else place
    assert tuple(of_answer[name] for name in ("journey", "step", "owner")) == expected


def test_an_order_of_somebody_else_with_the_same_number_tells_nothing():
    """Of another shop."""
    cases = [case(person=1, delivered_at=clock("09:00")), case(case_type="rfq")]

    assert contact(opened(at="10:00", order_id="o1"), cases=cases)["journey"] == "rfq"


def test_a_ticket_without_an_order_is_as_far_as_it_got():
    talk = opened(at="10:00"), ticket("agent_reply", at="11:00"), ticket("solved", at="12:00")

    assert [contact(*talk[:n])["step"] for n in (1, 2, 3)] == ["opened", "replied", "solved"]


def test_an_answer_is_one_row_and_knows_what_its_ticket_knows():
    said = ticket("csat_answered", at="17:00", score=2, event_id="e1", text="Great service!", language="en")
    row = answer(
        opened(at="10:00", order_id="o1", session_id="s1", journey="shop", step="payment", account_id="acme", visitor_id="v1"), said
    )

    assert row == {
        "site": "shop", "kind": "csat", "answer_id": "e1", "score": 2, "answered_at": clock("17:00"),
        "visitor_id": "v1", "customer_id": "anna", "account_id": "acme", "order_id": "o1", "ticket_id": "t1", "session_id": "s1",
        "journey": "shop", "step": "payment", "owner": "payments", "sentiment": pytest.approx(0.6588), "is_deleted": 0, "partition": 0,
    }  # fmt: skip


def test_each_kind_of_survey_is_told_by_its_name():
    found = rows(
        "answers",
        *(ticket(f"{kind}_answered", at="10:00", ticket_id=None, score=5, event_id=kind) for kind in ("csat", "nps", "ces")),
    )

    assert {(row["kind"], row["answer_id"], row["ticket_id"]) for row in found} == {
        (kind, kind, "") for kind in ("csat", "nps", "ces")
    }


def test_a_survey_of_no_ticket_is_no_contact():
    assert rows("contacts", ticket("nps_answered", at="10:00", ticket_id=None, score=9)) == []


def test_a_ticket_of_which_only_a_survey_has_come_is_a_contact_all_the_same():
    assert contact(ticket("csat_answered", at="10:00", score=5))["csat"] == 5


def test_sentiment_is_the_mean_of_what_the_customer_wrote_not_of_what_was_replied_or_answered():
    talk = (
        opened(at="10:00", language="en-GB", text="This is terrible."),
        ticket("agent_reply", at="11:00", text="Great, thank you so much!"),
        ticket("customer_message", at="12:00", text="Thank you, that is great!"),
        ticket("csat_answered", at="13:00", score=1, text="I am angry"),
    )
    one, both = (contact(*talk[:n])["sentiment"] for n in (1, 4))

    assert one < -0.4
    assert both == pytest.approx(
        (one + contact(opened(at="10:00", text="Thank you, that is great!", language="en"))["sentiment"]) / 2
    )


def test_a_text_in_a_language_that_is_not_read_or_not_said_is_counted():
    german = opened(at="10:00", text="Das war furchtbar.", language="de")
    out = told(german, ticket("customer_message", at="11:00", text="Hallo?"), ticket("agent_reply", at="12:00", text="Guten Tag"))
    row = out.tables["contacts"].row(0, named=True)

    assert (row["sentiment"], row["n_texts_unread"], out.n_texts_unread) == (None, 2, 2)
    assert told(ticket("nps_answered", at="10:00", score=1, ticket_id=None, text="schlecht", language="de")).n_texts_unread == 1


def test_a_shop_may_say_in_which_language_its_customers_write():
    rules = JourneysRules(sentiment=SentimentRule(language="en"))

    assert contact(opened(at="10:00", text="This is terrible."), rules=rules)["sentiment"] < -0.4
    assert contact(opened(at="10:00", text="This is terrible.", language="de"), rules=rules)["sentiment"] is None


def test_an_empty_string_says_nothing():
    row = contact(
        opened(at="10:00", order_id="", topic="delivery"), ticket("customer_message", at="11:00", order_id="o2", topic="")
    )

    assert (row["order_id"], row["topic"]) == ("o2", "delivery")


# Moments --------------------------------------------------------------------------------------------------------------------


def moments(*events, **known):
    return told(*events, **known).moments.select("person", "at", "ticket_id", "order_id", "journey").rows()


def test_a_moment_is_whatever_a_customer_does_to_be_helped():
    talk = (
        opened(at="10:00"), ticket("bot_reply", at="10:01"), ticket("customer_message", at="10:02"), ticket("human_requested", at="10:03"),
        ticket("agent_reply", at="10:04"), ticket("solved", at="10:05"), ticket("reopened", at="10:06"), ticket("csat_answered", at="10:07", score=1),
        ticket("customer_left", at="10:08"),
    )  # fmt: skip
    found = moments(*talk)

    assert [at for _, at, *_ in found] == [clock(at) for at in ("10:00", "10:02", "10:03", "10:06")]


def test_a_moment_knows_what_its_ticket_learns_later():
    found = moments(opened(at="10:00"), ticket("assigned", at="11:00", order_id="o1", journey="order"))

    assert found == [(0, clock("10:00"), "t1", "o1", "order")]


def test_what_the_shop_began_is_a_moment_when_the_customer_answers():
    outbound = opened(at="10:00"), ticket("assigned", at="10:01", is_outbound=True)

    assert moments(*outbound) == []
    assert moments(*outbound, ticket("customer_message", at="12:00")) == [(0, clock("12:00"), "t1", None, None)]
    assert moments(*outbound, ticket("customer_message", at="12:00", is_outbound=True)) == []
    assert moments(opened(at="10:00", is_outbound=True)) == []


def test_nobody_is_told_of_who_never_wrote():
    out = told()

    assert {name: rows.height for name, rows in out.tables.items() if rows.height} == {}
    assert (out.moments.height, out.lapses.height, out.signals.height, len(out.next_ms)) == (0, 0, 0, 2)
