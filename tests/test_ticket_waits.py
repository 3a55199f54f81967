"""What was expected of support: when it lapses, what ends it, whom nobody has to answer."""

from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import pytest

from pipeline.awaited_types import SEEN
from pipeline.calendars import Calendar, Calendars
from pipeline.groups import NEVER
from pipeline.journeys_rules import JourneysRules
from tests.builders import MONDAY, clock
from tests.contact_log import opened, ticket, told

ON = JourneysRules(expectations=tuple(replace(each, enabled="on") for each in JourneysRules().of_tickets))
FIRST, HUMAN, SOLVED = "first_reply_after_ticket", "first_human_reply_after_ticket", "solution_after_ticket"


def lapses(*events, until="+20d 00:00", rules=ON, **known):
    rows = told(*events, until=until, rules=rules, **known).lapses
    return {(row["expectation"], row["ticket_id"]): row for row in rows.to_dicts()}


def lapsed(*events, **known):
    return {name for name, _ in lapses(*events, **known)}


def test_who_is_not_answered_waits_a_day_for_a_reply_two_for_a_person_a_week_for_a_solution():
    found = lapses(opened(at="10:00"))

    assert {name: row["due_at"] for (name, _), row in found.items()} == {
        FIRST: clock("+1d 10:00"), HUMAN: clock("+2d 10:00"), SOLVED: clock("+7d 10:00"),
    }  # fmt: skip
    assert {row["lapsed_at"] - row["due_at"] for row in found.values()} == {timedelta(0)}


def test_nights_and_weekends_do_not_count():
    """Friday at four, Saturday, and another country's hours."""
    assert lapses(opened(at="+4d 16:00"))[FIRST, "t1"]["due_at"] == clock("+7d 16:00")
    assert lapses(opened(at="+5d 12:00"))[FIRST, "t1"]["due_at"] == clock("+7d 17:00")
    rules = replace(ON, calendars=Calendars({"shop": Calendar(time_zone="Asia/Tokyo", weekdays=tuple(range(7)))}))
    assert lapses(opened(at="+5d 00:00"), rules=rules)[FIRST, "t1"]["due_at"] == clock("+5d 08:00")


def test_it_lapses_once_the_watermark_has_passed_it_and_is_silent_three_days_later():
    events = (opened(at="10:00"),)

    assert lapsed(*events, until="+1d 10:00") == set()
    row = lapses(*events, until="+1d 10:00:00.001")[FIRST, "t1"]
    assert (row["status"], row["silent_at"], row["recovers_until"]) == ("provisional", clock("+4d 10:00"), clock("+8d 10:00"))
    assert lapses(*events, until="+4d 10:00:00.001")[FIRST, "t1"]["status"] == "silent"


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ((ticket("bot_reply", at="10:01"),), {HUMAN, SOLVED}),
        ((ticket("agent_reply", at="11:00"),), {SOLVED}),
        ((ticket("human_joined", at="11:00"),), {FIRST, SOLVED}),
        ((ticket("solved", at="11:00"),), set()),
        ((ticket("closed", at="11:00"),), set()),
        ((ticket("customer_left", at="10:05"),), set()),
        ((ticket("csat_answered", at="11:00", score=5),), {FIRST, HUMAN, SOLVED}),
        ((ticket("agent_reply", at="11:00"), ticket("solved", at="12:00"), ticket("reopened", at="13:00")), {SOLVED}),
        ((ticket("solved", at="12:00"), ticket("reopened", at="13:00"), ticket("solved", at="+1d 12:00")), set()),
        ((ticket("solved", at="12:00"), ticket("customer_message", at="13:00", text="Thanks")), set()),
    ],
)
def test_what_ends_a_wait_in_time(events, left):
    assert lapsed(opened(at="10:00"), *events) == left


@pytest.mark.parametrize(
    "events",
    [
        (opened(at="10:00", is_outbound=True),),
        (opened(at="10:00", is_outbound=True), ticket("customer_message", at="11:00")),
        (ticket("csat_answered", at="10:00", score=1),),
        (ticket("nps_answered", at="10:00", score=1, ticket_id=None),),
    ],
)
def test_what_the_shop_began_and_a_survey_await_nothing(events):
    assert lapsed(*events) == set()


def test_a_ticket_that_begins_with_a_message_waits_for_a_reply_all_the_same():
    assert lapsed(ticket("customer_message", at="10:00")) == {FIRST, HUMAN}


def test_a_late_reply_recovers_and_a_later_one_returns():
    late = lapses(opened(at="10:00"), ticket("agent_reply", at="+1d 10:01"))[FIRST, "t1"]
    later = lapses(opened(at="10:00"), ticket("agent_reply", at="+8d 10:01"))[FIRST, "t1"]

    assert (late["status"], late["recovered_at"], late["returned_at"]) == ("recovered", clock("+1d 10:01"), None)
    assert (later["status"], later["recovered_at"], later["returned_at"]) == ("silent", None, clock("+8d 10:01"))


def test_who_leaves_after_the_due_time_was_kept_waiting():
    assert lapsed(opened(at="10:00"), ticket("customer_left", at="+1d 10:01")) == {FIRST}


def test_a_solution_that_did_not_hold_is_awaited_anew_from_the_reopening():
    events = opened(at="10:00"), ticket("agent_reply", at="11:00"), ticket("solved", at="12:00"), ticket("reopened", at="13:00")
    row = lapses(*events)[SOLVED, "t1"]

    assert (row["began_at"], row["due_at"]) == (clock("13:00"), clock("+7d 13:00"))


def test_a_lapse_says_whose_it_is_and_what_of():
    row = lapses(
        opened(at="10:00", order_id="o1", session_id="s1", visitor_id="v1", account_id="acme", agent_id="a7", event_id="e1"),
        until="+2d 00:00",
    )[FIRST, "t1"]  # fmt: skip

    assert {name: value for name, value in row.items() if value is not None and not isinstance(value, datetime)} == {
        "person": 0, "site": "shop", "expectation": FIRST, "outcome_id": row["outcome_id"], "journey": "support", "step": "replied",
        "owner": "support", "assignee_id": "a7", "visitor_id": "v1", "session_id": "s1", "order_id": "o1", "ticket_id": "t1",
        "customer_id": "anna", "account_id": "acme", "status": "provisional", "is_deleted": 0,
    }  # fmt: skip
    assert row["began_at"] == clock("10:00")


def test_its_id_is_that_of_the_event_that_began_it():
    alone = lapses(opened(at="10:00", event_id="e1"))
    among = lapses(
        opened(at="10:00", event_id="e1"), opened(at="09:00", ticket_id="t0"), ticket("customer_message", at="10:30"), opened(at="10:00", ticket_id="t9", person=1)
    )  # fmt: skip

    assert {row["outcome_id"] for row in alone.values()} < {row["outcome_id"] for row in among.values()}


def seen(event_type, *, at):
    first = clock(at)
    row = {"seen_key": 1, "partition": 0, "site": "shop", "event_type": event_type, "first_ms": int(first.timestamp() * 1000)}
    return pl.DataFrame([{**row, "day": row["first_ms"] // 86_400_000}], schema=SEEN)


def test_a_shop_whose_help_desk_never_sends_solutions_has_no_lapse_of_them():
    rules = JourneysRules()

    assert lapsed(opened(at="10:00"), rules=rules) == set()
    assert lapsed(opened(at="10:00"), rules=rules, seen=seen("bot_reply", at="09:00")) == {FIRST}
    assert lapsed(opened(at="10:00"), rules=rules, seen=seen("solved", at="09:00")) == {SOLVED}


def test_what_follows_next_is_the_next_lapse_or_silence_of_each_person():
    day_ms, start_ms = 86_400_000, int(MONDAY.timestamp() * 1000)
    events = opened(at="10:00"), ticket("agent_reply", at="11:00", person=1, ticket_id="t2")
    at_ten = 10 * 3_600_000

    def following(until):
        return told(*events, until=until, rules=ON).next_ms.tolist()

    assert following("10:00") == [start_ms + day_ms + at_ten, NEVER]
    assert following("+1d 10:00:00.001") == [start_ms + 2 * day_ms + at_ten, NEVER]
    assert following("+2d 10:00:00.001") == [start_ms + 4 * day_ms + at_ten, NEVER]
    assert following("+19d 00:00") == [NEVER, NEVER]
