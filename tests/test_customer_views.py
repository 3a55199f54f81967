"""What a customer has been through, and whether they are about to go."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.calendars import Calendar, Calendars
from pipeline.customer_views import ToldCustomers, told_customers
from pipeline.frames import TABLES
from pipeline.groups import NEVER
from pipeline.journeys_rules import JourneysRules
from pipeline.next_orders import next_orders
from pipeline.outcome_views import told_outcomes
from tests.builders import clock
from tests.person_logs import Row, lapse, log, moments, placed, spoke, visit

RULES = JourneysRules()
DAY = timedelta(days=1)


def told(*, said: tuple[Row, ...] = (), rules: JourneysRules = RULES, **known: Any) -> ToldCustomers:
    whole = log(**known)
    lapses = whole.lapses.vstack(next_orders(whole, rules).lapses)
    outcomes = told_outcomes(whole, lapses, whole.signals, moments(said), rules).rows
    return told_customers(whole, outcomes, moments(said), rules)


def only(**known: Any) -> Row:
    rows = told(**known).rows
    assert rows.height == 1
    return rows.to_dicts()[0]


def ordered(*days: float, **fields: Any) -> list[Row]:
    """An order at ten on each of these days."""
    return [placed(f"o{day:05}", at=f"+{day}d 10:00", **fields) for day in days]


def answered(event_type: str, *, at: str, score: int) -> Row:
    event = {"event_id": f"{event_type} {at}", "event_type": event_type, "event_at": clock(at), "site": "shop"}
    return {"person": 0, "customer_id": "anna", "score": score, **event}


# What happened ------------------------------------------------------------------------------------------------------------------


def test_who_is_no_customer_or_of_whom_nothing_is_known_has_no_row():
    guest = {"key": "visitor:v1", "customer_id": None}

    assert told().rows.is_empty()
    assert told(visits=[visit(at="10:00")], people=[guest]).rows.is_empty()


def test_the_rows_are_those_of_the_table():
    rows = told(visits=[visit(at="10:00")]).rows

    assert TABLES["customers"].conform(rows.drop("person"))["loyalty_state"].to_list() == ["new"]


def test_a_customer_was_seen_by_what_they_did():
    row = only(
        visits=[visit(at="10:00", until="10:30"), visit(at="+1d 10:00", until="+1d 10:05")],
        cases=[placed("o1", at="+2d 10:00", delivered_at=clock("+5d 10:00"))],
        said=(spoke("t1", at="+3d 10:00"), spoke("t1", at="+3d 11:00"), spoke("t2", at="09:00")),
        tickets=[answered("csat_answered", at="+4d 10:00", score=5)],
    )

    assert (row["first_seen_at"], row["last_seen_at"]) == (clock("09:00"), clock("+4d 10:00"))
    assert (row["n_sessions"], row["n_orders"], row["n_contacts"]) == (2, 1, 2)


def test_lapses_are_counted_and_those_that_stayed_silent():
    row = only(
        lapses=[lapse(at="10:00"), lapse(at="11:00"), lapse(at="+9d 10:00")], said=(spoke("t1", at="+9d 11:00"),), now="+20d 10:00"
    )

    assert (row["n_lapses"], row["n_silent"]) == (3, 2)


def test_late_orders_are_counted():
    assert only(cases=[*ordered(0, is_late=1), *ordered(1, is_late=0), *ordered(2)])["n_late_deliveries"] == 1


def test_orders_are_those_that_were_not_cancelled_and_days_those_of_the_site():
    """Half past eleven at night in London is another day in Berlin."""
    cases = [placed("o1", at="10:00"), placed("o2", at="23:30"), placed("o3", at="+5d 10:00", cancelled_at=clock("+5d 11:00"))]
    berlin = replace(RULES, calendars=Calendars({"shop": Calendar("Europe/Berlin")}))

    there, here = only(cases=cases, rules=berlin), only(cases=cases)

    assert (there["n_orders"], there["n_order_days"], there["is_repeat"]) == (2, 2, 1)
    assert (here["n_orders"], here["n_order_days"], here["is_repeat"]) == (2, 1, 0)
    assert (here["first_order_at"], here["second_order_at"], here["last_order_at"]) == (clock("10:00"), *(2 * [clock("23:30")]))


def test_the_usual_gap_is_a_median_in_days():
    assert only(cases=ordered(0))["median_days_between_orders"] is None
    assert only(cases=ordered(0))["second_order_at"] is None
    assert only(cases=ordered(0, 1, 4), now="+5d 10:00")["median_days_between_orders"] == 2.0
    assert only(cases=ordered(0, 1, 4, 54), now="+60d 10:00")["median_days_between_orders"] == 3.0


def test_the_last_answer_says_who_would_recommend():
    first, last = answered("nps_answered", at="10:00", score=9), answered("nps_answered", at="+2d 10:00", score=3)

    assert only(tickets=[last, first, answered("csat_answered", at="+3d 10:00", score=5)])["nps"] == 3
    assert only(tickets=[answered("ces_answered", at="10:00", score=5)])["nps"] is None


def test_spent_is_what_was_not_paid_back_in_the_currency_of_the_last_order():
    cases = [
        *ordered(0, amount_minor=9_900, currency="CHF"),
        *ordered(1, amount_minor=5_000, refund_minor=1_500, currency="EUR"),
        *ordered(2, amount_minor=700, currency="EUR", cancelled_at=clock("+3d 10:00")),
        *ordered(4, amount_minor=1_000, currency="EUR"),
        *ordered(5),
    ]
    row = only(cases=cases, now="+5d 11:00")

    assert (row["spent_minor"], row["currency"]) == (4_500, "EUR")
    assert only(cases=ordered(0))["spent_minor"] is None


def test_the_company_is_the_one_that_was_said_last():
    visits = [visit(at="10:00", account_id="one"), visit(at="+2d 10:00")]

    assert only(visits=visits, cases=ordered(1, account_id="two"))["account_id"] == "two"
    assert only(visits=visits)["account_id"] == "one"


# Loyalty ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "now", "state"),
    [
        ((0,), 90.0, "new"),
        ((0,), 90.01, "at_risk"),
        ((0,), 120.0, "at_risk"),
        ((0,), 120.01, "lapsed"),
        ((0, 30), 60.0, "active"),
        ((0, 20, 40), 70.0, "active"),
        ((0, 20, 40), 70.01, "at_risk"),
        ((0, 20, 40), 80.01, "lapsed"),
        ((0, 20, 40, 81), 90.0, "returned"),
        ((0, 20, 40, 81, 100), 101.0, "active"),
        ((0, 20, 40, 81), 120.0, "at_risk"),
        ((0, 20, 40, 80), 90.0, "active"),
    ],
)
def test_loyalty_follows_the_rhythm_of_the_customer(days, now, state):
    at = clock("10:00") + now * DAY
    days_on, time = divmod((at - clock("00:00")) / DAY, 1)
    spelt = f"+{int(days_on)}d {(clock('00:00') + time * DAY).time().isoformat('milliseconds')}"

    assert only(cases=ordered(*days), now=spelt)["loyalty_state"] == state


def test_who_only_looks_around_is_new_until_nothing_was_seen_for_long():
    seen = [visit(at="10:00"), visit(at="+10d 10:00")]

    assert only(visits=seen, now="+99d 10:00")["loyalty_state"] == "new"
    assert only(visits=seen, now="+101d 10:00")["loyalty_state"] == "at_risk"
    assert only(visits=seen, now="+131d 10:00")["loyalty_state"] == "lapsed"


def test_two_orders_of_one_day_are_no_habit():
    assert only(cases=[placed("o1", at="10:00"), placed("o2", at="11:00")])["loyalty_state"] == "new"


def test_a_lapsed_customer_has_a_lapse_and_one_at_risk_has_none():
    lapsed, at_risk = (only(cases=ordered(0, 20, 40), now=now) for now in ("+81d 10:00", "+79d 10:00"))

    assert (lapsed["loyalty_state"], lapsed["n_lapses"]) == ("lapsed", 1)
    assert (at_risk["loyalty_state"], at_risk["n_lapses"]) == ("at_risk", 0)


def test_a_step_comes_back_when_the_state_changes_by_itself():
    def days_until(now: str) -> float:
        (ms,) = told(cases=ordered(0), now=now).next_ms.tolist()
        return (ms - clock("10:00").timestamp() * 1000) / 86_400_000 if ms != NEVER else -1

    assert [days_until(now) for now in ("+1d 10:00", "+91d 10:00", "+121d 10:00")] == [90, 120, -1]


def test_customers_do_not_mix():
    people = [{}, {"key": "visitor:v9", "customer_id": None}, {"key": "customer:ben", "customer_id": "ben"}]
    rows = told(people=people, cases=[*ordered(0), *ordered(0, person=1), *ordered(0, 1, person=2)]).rows

    assert rows.select("person", "customer_id", "n_orders").rows() == [(0, "anna", 1), (2, "ben", 2)]
