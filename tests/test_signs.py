"""The ten signs: for each a shop where it holds, one where it does not, and one of which too little is known; and the rows behind it."""

import uuid
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.signs import BY_NAME, DOES_NOT, HOLDS, SIGNS, TOO_FEW, Reading, Sign, with_borders
from sinks.reader import Reader
from sinks.report_rows import Span, readings, sign_rows
from sinks.sign_queries import sign_queries
from tests.stores import rows_of, store_at

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = AT + timedelta(days=60)
"""Something is seen of every shop by then."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Row = dict[str, Any]
Rows = dict[str, list[Row]]


def ticket(n: int, **said: Any) -> Row:
    where = {"journey": "shop", "owner": "payments", "status": "solved", "customer_id": f"c{n}"}
    return {"ticket_id": f"t{n}", "opened_at": AT, **where, **said}


def lapse(n: int, expectation: str, **said: Any) -> Row:
    where = {"began_at": AT, "due_at": AT + DAY, "lapsed_at": AT + DAY, "status": "silent"}
    return {"outcome_id": f"l{n}", "expectation": expectation, **where, **said}


def praise(n: int, *, hit: bool) -> Rows:
    """Who is content with the person finds it hard, or does not."""
    ways = [{"ces": 2}, {"sentiment": -0.7}, {}]
    answer = {"kind": "nps", "answer_id": f"a{n}", "customer_id": f"c{n}", "answered_at": AT + 9 * DAY, "score": 4 if hit else 9}
    return {"contacts": [ticket(n, csat=5, **(ways[n % 3] if hit else {"ces": 7}))], "answers": [answer]}


def confusion(n: int, *, hit: bool) -> Rows:
    """The dead end is an hour before the ticket, or two days; on the same browser, or of the same customer."""
    who = {"customer_id": f"c{n}"} if n % 2 else {"visitor_id": f"v{n}"}
    lost = {"signal": "search_dead_end", "signal_id": f"s{n}", "fired_at": AT - (HOUR if hit else 2 * DAY), **who}
    return {"contacts": [ticket(n, **{"customer_id": "", **who})], "signals": [lost]}


def churn(n: int, *, hit: bool) -> Rows:
    """The next order is overdue, or came."""
    order = {"order_id": f"o{n}", "case_type": "order", "opened_at": AT + 3 * DAY, "customer_id": f"c{n}"}
    gone = lapse(n, "next_order", customer_id=f"c{n}", due_at=AT + 30 * DAY, journey="order", owner="shop")
    return {"contacts": [ticket(n, csat=4)], "cases": [order], "outcomes": [gone] if hit else []}


def simple_task(n: int, *, hit: bool) -> Rows:
    return {"contacts": [ticket(n, topic="how_to" if hit else "delivery")]}


def exhaustion(n: int, *, hit: bool) -> Rows:
    """The visit had all its friction at the payment, or had little."""
    where = {"instance": "session", "instance_id": f"v/s{n}", "visitor_id": "v", "session_id": f"s{n}", "journey": "shop"}
    cart = {**where, "step": "cart", "is_commit": 1, "owner": "shop"}
    payment = {**where, "step": "payment", "owner": "payments", "n_signals": 3 if hit else 1}
    visit = {
        "visitor_id": "v",
        "session_id": f"s{n}",
        "started_at": AT,
        "status": "abandoned",
        "friction_score": 70.0 if hit else 20.0,
    }
    return {"sessions": [visit], "steps": [cart, payment]}


def no_person(n: int, *, hit: bool) -> Rows:
    """The customer gives up, or waits in vain for a person; else one comes."""
    waited = [lapse(n, "first_human_reply_after_ticket", ticket_id=f"t{n}", status="recovered")] if hit and n % 2 else []
    return {"contacts": [ticket(n, status="left" if hit and not n % 2 else "solved")], "outcomes": waited}


def no_help(n: int, *, hit: bool) -> Rows:
    """The reply is late, is none, or is no help."""
    ways: list[Row] = [{"n_reopens": 1}, {"csat": 2}, {}, {}]
    late = [lapse(n, "first_reply_after_ticket", ticket_id=f"t{n}")] if hit and n % 4 == 2 else []
    again = {"signal": "repeat_contact", "signal_id": f"s{n}", "fired_at": AT, "ticket_id": f"t{n}"}
    return {
        "contacts": [ticket(n, **(ways[n % 4] if hit else {"csat": 4}))],
        "outcomes": late,
        "signals": [again] if hit and n % 4 == 3 else [],
    }


def bot_alone(n: int, *, hit: bool) -> Rows:
    """A bot that solves it is fine."""
    ways: list[Row] = [{"status": "left"}, {"status": "open"}, {"n_reopens": 1}, {"csat": 1}]
    return {"contacts": [ticket(n, n_bot_replies=2, is_bot_only=1, **(ways[n % 4] if hit else {}))]}


def alone(n: int, *, hit: bool) -> Rows:
    """The parcel was promised and did not come, or came late; in silence, or after the customer had asked."""
    order = {"order_id": f"o{n}", "case_type": "order", "opened_at": AT, "closed_at": AT + 5 * DAY, "customer_id": f"c{n}"}
    status = "recovered" if not hit else "silent" if n % 2 else "contacted"
    gone = lapse(n, "delivered_by_promise", order_id=f"o{n}", journey="order", owner="carrier", status=status)
    return {"cases": [order], "outcomes": [gone]}


def escalation(n: int, *, hit: bool) -> Rows:
    ways = [{"is_escalated": 1, "priority": "urgent"}, {"n_transfers": 2}, {"n_reopens": 2}]
    return {"contacts": [ticket(n, priority="normal") | (ways[n % 3] if hit else {"n_transfers": 1})]}


SCENARIOS: dict[str, Callable[..., Rows]] = {
    "praise_and_complaints": praise,
    "born_of_confusion": confusion,
    "churn_despite_csat": churn,
    "help_for_simple_tasks": simple_task,
    "exhausting_purchase": exhaustion,
    "person_hard_to_reach": no_person,
    "slow_or_unhelpful_replies": no_help,
    "bots_without_people": bot_alone,
    "left_alone_after_sale": alone,
    "small_issues_escalate": escalation,
}
N = 100
"""Things of a shop that is large enough."""
IGNORED: dict[str, Rows] = {
    "praise_and_complaints": {"contacts": [ticket(900, csat=5), ticket(901, csat=2, ces=1), ticket(902, csat=5, ces=1, is_outbound=1)]},
    "born_of_confusion": {"contacts": [ticket(900, customer_id=""), ticket(901, is_outbound=1)]},
    "churn_despite_csat": {"contacts": [ticket(900, csat=5), ticket(901, csat=1)], "outcomes": [lapse(901, "next_order", customer_id="c901")]},
    "help_for_simple_tasks": {"contacts": [ticket(900, topic="how_to", is_outbound=1)]},
    "exhausting_purchase": {"sessions": [{"visitor_id": "v", "session_id": "open", "started_at": AT, "status": "open", "friction_score": 90.0}]},
    "person_hard_to_reach": {"contacts": [ticket(900, status="left", is_outbound=1)]},
    "slow_or_unhelpful_replies": {"contacts": [ticket(900, status="left", csat=1)]},
    "bots_without_people": {"contacts": [ticket(900, status="open"), ticket(901, n_bot_replies=1, is_bot_only=1, status="open", opened_at=LATER)]},
    "left_alone_after_sale": {"cases": [
        {"order_id": "new", "case_type": "order", "opened_at": LATER}, {"order_id": "off", "case_type": "order", "opened_at": AT, "cancelled_at": AT},
        {"order_id": "ask", "case_type": "rfq", "opened_at": AT}]},
    "small_issues_escalate": {"contacts": [ticket(900, priority="urgent", n_transfers=2), ticket(901, order_id="late", is_escalated=1)],
                              "outcomes": [lapse(900, "delivered_by_promise", order_id="late", due_at=AT - DAY)]},
}  # fmt: skip
"""What a sign does not look at, whatever it says."""


def border(sign: Sign) -> int:
    """Hits of N from which it holds."""
    return round(sign.threshold * N)


def of_shops() -> Rows:
    """Rows of three shops for each sign."""
    tables: Rows = defaultdict(list)
    for sign in SIGNS:
        for kind, n, n_hits in (("holds", N, border(sign)), ("not", N, border(sign) - 1), ("few", sign.min_n - 1, sign.min_n - 1)):
            parts = [SCENARIOS[sign.name](each, hit=each < n_hits) for each in range(n)]
            seen = {"answers": [{"kind": "ces", "answer_id": "last", "answered_at": LATER, "score": 7}]}
            for part in (*parts, IGNORED[sign.name], seen):
                for table, rows in part.items():
                    tables[table] += [{**row, "site": f"{sign.name}/{kind}"} for row in rows]
    return tables


@pytest.fixture(scope="module")
def reader(store_dsn):
    for store in store_at(store_dsn):
        with store.open() as opened:
            for table, rows in of_shops().items():
                opened.write(table, rows_of(table, *rows), token=uuid.uuid4().hex)
        with Reader(store.dsn, store.database) as found:
            yield found


def at(*sites: str) -> Span:
    return Span(sites, AT - 100 * DAY, LATER + DAY)


@pytest.fixture(scope="module")
def read(reader):
    """Sign, kind of shop, journey, owner -> what was read."""
    sites = [f"{sign.name}/{kind}" for sign in SIGNS for kind in ("holds", "not", "few")]
    return {
        (row["sign"], kind, row["journey"], row["owner"]): Reading(BY_NAME[row["sign"]], row["n"], row["n_hits"])
        for row in readings(reader, at(*sites)).to_dicts()
        for name, _, kind in [row["site"].partition("/")]
        if name == row["sign"]
    }


def test_there_are_ten_signs_each_with_a_query_and_scenarios():
    assert [sign.number for sign in SIGNS] == list(range(1, 11))
    assert list(sign_queries()) == [sign.name for sign in SIGNS] == list(SCENARIOS) == list(IGNORED)
    assert all(sql.startswith("-- ") for sql in sign_queries().values())


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.name)
def test_a_sign_holds_from_its_border_on_and_not_below(read, sign):
    holds, does_not = read[sign.name, "holds", "", ""], read[sign.name, "not", "", ""]

    assert (holds.n, holds.n_hits, holds.standing) == (N, border(sign), HOLDS)
    assert (does_not.n, does_not.n_hits, does_not.standing) == (N, border(sign) - 1, DOES_NOT)
    assert f"{border(sign)} of {N} {sign.looked_at}" in holds.sentence


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.name)
def test_of_too_few_a_sign_is_not_judged_although_all_are_those(read, sign):
    few = read[sign.name, "few", "", ""]

    assert few.n == few.n_hits == sign.min_n - 1
    assert few.standing == TOO_FEW


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.name)
def test_it_is_told_of_the_owner_whose_step_it_is(read, sign):
    owner = ("order", "carrier") if sign.name == "left_alone_after_sale" else ("shop", "payments")

    assert read[sign.name, "holds", *owner] == read[sign.name, "holds", owner[0], ""] == read[sign.name, "holds", "", ""]


def test_friction_is_held_against_the_owner_at_whose_step_it_was_met(read):
    cart = read["exhausting_purchase", "holds", "shop", "shop"]
    assert (cart.n, cart.n_hits) == (N, 0)


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.name)
def test_the_rows_behind_a_sign_are_those_and_say_why(reader, sign):
    rows = sign_rows(reader, at(f"{sign.name}/holds"), sign.name, most=1_000)

    letter = {"ticket": "t", "customer": "c", "visit": "v/s", "order": "o"}[sign.thing]
    assert set(rows["id"]) == {f"{letter}{n}" for n in range(border(sign))}
    assert "" not in rows["detail"].to_list()
    assert sign_rows(reader, at(f"{sign.name}/holds"), sign.name, most=2).height == 2


def test_what_was_before_or_after_is_not_looked_at(reader):
    site = "help_for_simple_tasks/holds"
    assert readings(reader, Span((site,), AT + HOUR, LATER)).filter(sign="help_for_simple_tasks").is_empty()
    assert readings(reader, Span((site,), AT - HOUR, AT)).filter(sign="help_for_simple_tasks").is_empty()


def test_a_wait_that_ended_after_all_that_was_seen_makes_nobody_lost(store):
    """A replay lets every wait elapse: nobody has seen that they did not come."""
    with store.open() as opened:
        opened.write("contacts", rows_of("contacts", ticket(1, csat=5)), token="t")
        opened.write("outcomes", rows_of("outcomes", lapse(1, "next_order", customer_id="c1", due_at=LATER)), token="o")
    with Reader(store.dsn, store.database) as reader:
        assert readings(reader, at("shop")).filter(sign="churn_despite_csat").is_empty()


def test_borders_of_a_sign_can_be_set_and_must_be_borders():
    stricter = with_borders(SIGNS, "bots_without_people", 0.5, None)
    assert [sign.threshold for sign in stricter if sign.name == "bots_without_people"] == [0.5]
    assert [sign.min_n for sign in stricter] == [sign.min_n for sign in SIGNS]
    with pytest.raises(ValueError, match="there is no sign 'bots'; there are praise_and_complaints"):
        with_borders(SIGNS, "bots", 0.5, None)
    with pytest.raises(ValueError, match="threshold is a share above 0"):
        with_borders(SIGNS, "bots_without_people", 0.0, None)
