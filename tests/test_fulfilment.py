"""The fold by order beside its laws: what it is told of time, what it takes for known of a shop, what it forgets."""

from dataclasses import replace
from datetime import timedelta

import polars as pl

from pipeline import cases_twice
from pipeline.frames import TIME
from pipeline.fulfilment import FulfilmentFold
from pipeline.fulfilment_rules import FulfilmentRules
from tests.builders import Event, clock, frame, happened, watermarks
from tests.commerce_strategies import FAR, RULES, Office
from tests.views import compared, fates, now, told

AUTO = FulfilmentRules()
DAY = timedelta(days=1)


def order(event_type: str, *, at: str, **fields) -> Event:
    return happened(event_type, at, fields, {"family": "order", "order_id": "o1", "partition": 0})


def parcel(event_type: str, *, at: str, **fields) -> Event:
    return happened(event_type, at, fields, {"family": "delivery", "delivery_id": "p1", "partition": 0})


def arrived(*events: Event) -> list[Event]:
    """In the order in which they are written, each in a batch of its own."""
    latest = max(event["event_at"] for event in events)
    return [{**event, "offset": n, "record_at": latest, "cut_before": True} for n, event in enumerate(events)]


def lapses(rules: FulfilmentRules, *events: Event, until: str) -> list[tuple[str, str]]:
    view = now(told(FulfilmentFold(rules), arrived(*events), until=clock(until)))
    return view["outcomes"].select("order_id", "status").rows() if "outcomes" in view else []


def test_a_shop_that_never_confirms_has_no_lapse_of_it():
    assert lapses(AUTO, order("payment_authorized", at="10:00"), until="+1d 10:00") == []


def test_a_shop_that_has_confirmed_another_order_has():
    events = order("order_confirmed", at="09:00", order_id="o0"), order("payment_authorized", at="10:00")

    assert lapses(AUTO, *events, until="+1d 10:00") == [("o1", "provisional")]


def test_a_confirmation_after_the_due_time_or_of_a_month_ago_tells_nothing_of_the_shop():
    before = order("order_confirmed", at="09:00", order_id="o0")
    after = order("order_confirmed", at="+40d 11:01", order_id="o2")

    assert lapses(AUTO, before, order("payment_authorized", at="+40d 10:00"), after, until="+41d 10:00") == []


def test_a_type_that_is_seen_late_reopens_what_was_passed_over():
    """Nothing of the order itself has changed."""
    known_late = order("order_confirmed", at="09:00", order_id="o0")
    events = order("payment_authorized", at="10:00"), order("order_placed", at="+2d 10:00", order_id="o3")

    assert lapses(AUTO, *events, until="+2d 11:00") == []
    assert lapses(AUTO, *events, known_late, until="+2d 11:00") == [("o1", "provisional")]


def test_another_shop_tells_nothing_of_this_one():
    events = order("order_confirmed", at="09:00", site="outlet", order_id="o0"), order("payment_authorized", at="10:00")

    assert lapses(AUTO, *events, until="+1d 10:00") == []


def test_a_watermark_that_stands_beside_the_rows_is_the_one_that_counts():
    """Orders far ahead of deliveries: nothing lapses before the evidence can be there, and nothing is late."""
    fold = FulfilmentFold(RULES)
    events = frame(
        arrived(order("payment_authorized", at="10:00"), order("order_placed", at="+5d 10:00", order_id="o9")), "commerce"
    )
    beside = events.with_columns(pl.Series("watermark", [clock("09:50"), clock("10:30")]).cast(TIME))
    step = fold.step(fold.empty(), beside, watermarks({0: clock("09:40")}))
    later = fold.step(step.state, frame([], "commerce"), watermarks({0: clock("12:00")}))

    assert step.watermarks["watermark"].to_list() == [clock("10:30")]
    assert "outcomes" not in step.tables
    assert fates([step]) == {(0, "applied"): (2, 0)}
    assert later.tables["outcomes"]["expectation"].to_list() == ["confirmation_after_payment"]


def test_an_event_further_back_than_the_horizon_is_refused_and_said():
    steps = told(FulfilmentFold(RULES), arrived(order("order_placed", at="+31d 10:00"), parcel("in_transit", at="10:00")))

    assert fates(steps) == {(0, "applied"): (1, 0), (0, "too_late"): (1, 0)}
    assert steps[-1].rejects["detail"].to_list() == ["event_at lies 2677800 s behind the watermark"]


def test_the_two_families_may_use_the_same_event_id():
    steps = told(
        FulfilmentFold(RULES),
        arrived(order("order_placed", at="10:00", event_id="1"), parcel("in_transit", at="10:00", event_id="1", order_id="o1")),
    )

    assert fates(steps) == {(0, "applied"): (2, 0)}
    assert now(steps)["cases"]["n_updates"].to_list() == [1]


def test_a_case_leaves_the_state_when_nothing_is_left_to_say_of_it():
    fold = FulfilmentFold(RULES)
    events = arrived(
        order("order_placed", at="10:00"), order("order_shipped", at="11:00", delivery_id="p1"), parcel("delivered", at="12:00")
    )
    steps = told(fold, events, until=clock("+149d 10:00"))
    gone = fold.step(steps[-1].state, frame([], "commerce"), watermarks({0: clock("+151d 10:00")}))

    assert steps[-1].state.events.height == 3
    assert gone.state.events.height == gone.state.cases.height == gone.state.links.height == 0
    assert gone.tables == {}


def test_an_open_document_is_counted():
    fold = FulfilmentFold(RULES)
    steps = told(
        fold,
        arrived(
            order("order_placed", at="10:00"), order("order_placed", at="10:00", order_id="o2"), parcel("in_transit", at="11:00")
        ),
    )
    closed = told(fold, arrived(order("order_placed", at="10:00"), order("order_cancelled", at="11:00")))

    assert (steps[-1].state.n_open, closed[-1].state.n_open) == (2, 0)
    assert steps[-1].state.n_bytes > 0


def test_every_applied_event_is_a_row_where_events_are_stored():
    rules = replace(RULES, store_events=True)
    events = (
        order("approval_requested", at="10:00", step="legal", assignee_id="u-1"),
        parcel("exception", at="11:00", reason="customs"),
    )
    view = now(told(FulfilmentFold(rules), arrived(*events)))

    assert view["events"].select("family", "event_type", "order_id", "journey", "step", "detail").rows() == [
        ("delivery", "exception", "", "order", "scanned", "customs p1"),
        ("order", "approval_requested", "o1", "approval", "requested", "legal u-1"),
    ]


def test_many_cases_are_told_one_look_after_the_other_and_nothing_else_is_said(monkeypatch):
    log = Office(seed=7, documents=12).log
    together = told(FulfilmentFold(RULES), log, until=FAR)
    monkeypatch.setattr(cases_twice, "TOGETHER", 0)

    assert compared(told(FulfilmentFold(RULES), log, until=FAR), together) == []
