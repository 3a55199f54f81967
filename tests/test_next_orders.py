"""The next order of a customer: awaited in the rhythm of those before it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.expectations.next_order import NEXT_ORDER
from pipeline.groups import NEVER
from pipeline.journeys_rules import JourneysRules
from pipeline.next_orders import next_orders
from tests.builders import clock
from tests.person_logs import Row, log, placed

RULES = JourneysRules()
DAY = timedelta(days=1)


def ordered(*days: float, **fields) -> list[Row]:
    """An order at ten on each of these days."""
    return [
        placed(f"o{n}", at="10:00", placed_at=clock("10:00") + day * DAY, opened_at=clock("10:00") + day * DAY, **fields)
        for n, day in enumerate(days)
    ]


def lapses(cases: list[Row], now: str, **known) -> list[tuple]:
    """Order that was the last, and after how many days the next one was due."""
    found = next_orders(log(cases=cases, now=now, **known), RULES).lapses
    return [
        (row["order_id"], (row["due_at"] - row["began_at"]) / DAY, row["recovered_at"], row["returned_at"])
        for row in found.to_dicts()
    ]


def test_who_has_ordered_once_or_twice_is_awaited_for_120_days():
    assert lapses(ordered(0), now="+120d 10:00") == []
    assert lapses(ordered(0), now="+120d 10:00:00.001") == [("o0", 120.0, None, None)]
    assert lapses(ordered(0, 30), now="+151d 10:00") == [("o1", 120.0, None, None)]


@pytest.mark.parametrize(
    ("days", "wait"),
    [
        ((0, 20, 40), 40.0),
        ((0, 10, 40), 40.0),
        ((0, 2, 4), 14.0),
        ((0, 100, 110, 120, 130, 140), 20.0),
        ((0, 10, 20, 120, 220), 110.0),
        ((0, 10, 20, 30, 130, 230), 110.0),
    ],
    ids=[
        "even",
        "the median of two gaps",
        "never shorter than two weeks",
        "only the last five",
        "the median of four",
        "five of six",
    ],
)
def test_who_has_ordered_three_times_is_awaited_for_twice_the_median_gap(days, wait):
    last = [row for row in lapses(ordered(*days), now="+900d 10:00") if row[0] == f"o{len(days) - 1}"]

    assert last == [(f"o{len(days) - 1}", wait, None, None)]


def test_an_order_in_time_begins_a_new_wait():
    assert lapses(ordered(0, 120), now="+200d 10:00") == []
    assert lapses(ordered(0, 120), now="+241d 10:00") == [("o1", 120.0, None, None)]


def test_who_orders_in_the_week_after_is_recovered_and_who_comes_later_returns():
    assert lapses(ordered(0, 127), now="+140d 10:00") == [("o0", 120.0, clock("+127d 10:00"), None)]
    assert lapses(ordered(0, 127.001), now="+140d 10:00")[0][2] is None
    assert lapses(ordered(0, 130), now="+140d 10:00") == [("o0", 120.0, None, clock("+130d 10:00"))]


def test_a_cancelled_order_is_none():
    cases = [*ordered(0, 20), placed("o2", at="+40d 10:00", cancelled_at=clock("+41d 10:00"))]

    assert lapses(cases, now="+139d 10:00") == []
    assert lapses(cases, now="+141d 10:00") == [("o1", 120.0, None, None)]


def test_a_guest_is_not_awaited():
    guest = {"key": "visitor:v1", "customer_id": None}

    assert lapses(ordered(0), now="+200d 10:00", people=[guest]) == []


def test_every_customer_has_a_rhythm_of_their_own():
    people = [{}, {"key": "customer:ben", "customer_id": "ben"}]
    cases = [*ordered(0, 10, 20), *(row | {"order_id": f"b{row['order_id']}"} for row in ordered(5, 50, 95, person=1))]

    assert [row[:2] for row in lapses(cases, now="+900d 10:00", people=people)] == [("o2", 20.0), ("bo2", 90.0)]


def test_a_step_comes_back_when_the_next_order_is_due():
    assert next_orders(log(cases=ordered(0), now="+1d 10:00"), RULES).next_ms.tolist() == [
        int(clock("+120d 10:00").timestamp() * 1000)
    ]
    assert next_orders(log(cases=ordered(0), now="+121d 10:00"), RULES).next_ms.tolist() == [NEVER]
    assert next_orders(log(), RULES).next_ms.tolist() == [NEVER]


def test_the_lapse_says_what_the_last_order_knew_and_is_found_again_by_it():
    known = {"visitor_id": "v1", "account_id": "firm", "amount_minor": 4_900, "currency": "EUR"}
    first, again = (next_orders(log(cases=ordered(*days, **known), now="+400d 10:00"), RULES).lapses for days in ((0,), (0, 200)))
    row = first.to_dicts()[0]

    assert (row["visitor_id"], row["account_id"], row["value_minor"], row["currency"]) == ("v1", "firm", 4_900, "EUR")
    assert (row["expectation"], row["journey"], row["step"], row["owner"]) == ("next_order", "order", "placed", "shop")
    assert row["silent_at"] - row["lapsed_at"] == DAY
    assert first["outcome_id"].to_list() == again["outcome_id"].to_list()[:1]


def test_what_is_off_is_not_awaited_and_another_wait_may_be_chosen():
    off = replace(RULES, expectations=(replace(NEXT_ORDER, enabled="off"),))
    soon = replace(RULES, expectations=(replace(NEXT_ORDER, within=30 * DAY, rhythm=None),))
    known = log(cases=ordered(0, 10, 20), now="+51d 10:00")

    assert next_orders(known, off).lapses.is_empty()
    assert next_orders(known, soon).lapses["order_id"].to_list() == ["o2"]
