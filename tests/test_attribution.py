"""What explains a lapse: about the same thing, before it, the heaviest and latest first."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.attribution import Attribution, causes
from tests.person_logs import Row, fired, lapse, log, of_order

RULE = Attribution()
IN_VISIT = {"visitor_id": "v1", "session_id": "s 10:00"}
LEFT = lapse(at="10:00", due="11:00")
SLOW = of_order("o1", at="+5d 10:00", due="+7d 10:00")
GONE = lapse(
    at="10:00", due="+120d 10:00", expectation="next_order", session_id=None, order_id="o1", journey="order", step="placed"
)


def cause(of: Row, *others: Row, rule: Attribution = RULE) -> str | None:
    """Name and id of what explains a lapse."""
    known = log(
        lapses=[of, *(each for each in others if "signal" not in each)], signals=[each for each in others if "signal" in each]
    )
    place = known.lapses["outcome_id"].to_list().index(of["outcome_id"])
    found = causes(known.lapses, known.signals, rule, ["next_order"]).filter(row=place).select("cause", "cause_id").rows()
    return found[0][1] if found else None


def test_a_lapse_does_not_explain_itself_and_may_have_no_cause():
    assert cause(LEFT) is None


@pytest.mark.parametrize(
    ("about", "fits"),
    [
        (IN_VISIT, True),
        ({"visitor_id": "v1", "session_id": "s 09:00"}, False),
        ({"visitor_id": "v2", "session_id": "s 10:00"}, False),
        ({}, False),
        ({"person": 1, **IN_VISIT}, False),
        ({"ticket_id": "t1", **IN_VISIT}, False),
    ],
    ids=["the visit", "another visit", "a visit of the same name of another device", "nothing", "somebody else", "a chat"],
)
def test_what_happened_elsewhere_does_not_explain_a_left_cart(about, fits):
    assert (cause(LEFT, fired("rage_click", at="10:20", **about)) is not None) is fits


@pytest.mark.parametrize(
    ("about", "fits"),
    [({"order_id": "o1"}, True), ({"order_id": "o2"}, False), ({"order_id": "o1", "ticket_id": "t1", **IN_VISIT}, True)],
)
def test_an_order_is_explained_by_what_happened_to_it(about, fits):
    assert (cause(SLOW, fired("eta_slip", at="+6d 10:00", **about)) is not None) is fits


def test_a_wait_for_support_is_explained_by_what_happened_in_its_ticket():
    waits = lapse(at="10:00", due="+1d 10:00", expectation="solution", ticket_id="t1", session_id=None)
    transferred = fired("transferred", at="12:00", ticket_id="t1"), fired("transferred", at="13:00", ticket_id="t2")

    assert cause(waits, *transferred) == "transferred 12:00"


@pytest.mark.parametrize(
    ("at", "fits"),
    [
        ("+4d 10:00", False),
        ("+4d 10:00:00.001", True),
        ("+7d 10:00", True),
        ("+7d 10:00:00.001", False),
    ],
)
def test_a_cause_lies_between_a_day_before_the_wait_and_the_lapse(at, fits):
    assert (cause(SLOW, fired("eta_slip", at=at, order_id="o1")) is not None) is fits


def test_of_two_lapses_at_the_same_time_none_explains_the_other():
    earlier = of_order("o1", at="+5d 09:00", due="+7d 09:00", expectation="confirmation_after_payment")
    twin = of_order("o1", at="+5d 10:00", due="+7d 10:00", expectation="first_scan_after_shipping")

    assert cause(SLOW, twin) is None
    assert cause(SLOW, twin, earlier) == earlier["outcome_id"]


def test_a_lapse_of_a_person_is_explained_by_anything_of_that_person():
    of_visit, of_parcel = fired("rage_click", at="+100d 10:00", **IN_VISIT), fired("eta_slip", at="+99d 10:00", order_id="o9")

    assert cause(GONE, of_visit) == "rage_click +100d 10:00"
    assert cause(GONE, of_parcel) == "eta_slip +99d 10:00"
    assert cause(GONE, fired("eta_slip", at="10:00", order_id="o9")) is None, "whoever ordered since has forgiven"


def test_the_later_explains_better_and_so_does_the_heavier():
    early, late = fired("rage_click", at="10:30", **IN_VISIT), fired("slow_page", at="10:30:05", **IN_VISIT)

    assert cause(LEFT, early, late) == "slow_page 10:30:05"
    assert cause(LEFT, {**early, "weight": 30.0}, late) == "rage_click 10:30"


def test_a_weight_halves_with_every_half_life():
    early, late = fired("rage_click", at="10:30", weight=20.0, **IN_VISIT), fired("slow_page", at="10:45", **IN_VISIT)

    assert cause(LEFT, early, late, rule=replace(RULE, visit_half_life=timedelta(minutes=15.1))) == "rage_click 10:30"
    assert cause(LEFT, early, late, rule=replace(RULE, visit_half_life=timedelta(minutes=14.9))) == "slow_page 10:45"


def test_what_happened_at_the_very_step_weighs_more():
    there = fired("rage_click", at="10:40", journey="shop", step="cart", **IN_VISIT)
    elsewhere = fired("slow_page", at="10:40:02", journey="shop", step="payment", **IN_VISIT)
    of_other_journey = fired("slow_page", at="10:40:02", journey="rfq", step="cart", **IN_VISIT)

    assert cause(LEFT, there, elsewhere) == cause(LEFT, there, of_other_journey) == "rage_click 10:40"


def test_of_equals_the_later_counts_then_a_signal_then_the_name():
    rule = replace(RULE, visit_half_life=timedelta(minutes=10))
    older, newer = fired("b", at="10:40", weight=20.0, **IN_VISIT), fired("c", at="10:50", weight=10.0, **IN_VISIT)
    twin = fired("a", at="10:50", weight=10.0, **IN_VISIT)
    other = lapse(at="10:00", due="10:50", expectation="a", outcome_id="other", session_id="s 10:00", step="payment")

    assert cause(LEFT, older, newer, rule=rule) == "c 10:50"
    assert cause(LEFT, older, newer, twin, rule=rule) == "a 10:50"
    assert cause(LEFT, newer, other, rule=replace(rule, lapse_weight=10.0)) == "c 10:50"
    assert cause(LEFT, newer, {**newer, "signal_id": "0"}, rule=rule) == "0"


def test_every_lapse_gets_its_own_cause():
    known = log(
        people=[{}, {"key": "visitor:v2", "customer_id": None}],
        lapses=[LEFT, lapse(at="10:00", due="11:00", person=1, outcome_id="hers", visitor_id="v2")],
        signals=[
            fired("slow_page", at="10:20", **IN_VISIT),
            fired("rage_click", at="10:20", person=1, **{**IN_VISIT, "visitor_id": "v2"}),
        ],
    )

    assert causes(known.lapses, known.signals, RULE)["cause"].to_list() == ["slow_page", "rage_click"]


def test_what_customers_do_and_how_it_felt_is_no_cause():
    done = [fired(name, at="10:50", weight=30.0, **IN_VISIT) for name in ("form_abandoned", "payment_retried", "hard_reorder")]
    felt = [fired(name, at="+100d 10:00", weight=30.0) for name in ("low_csat", "low_ces", "low_nps", "negative_words")]

    assert cause(LEFT, *done) is None
    assert cause(LEFT, *done, fired("dead_click", at="10:20", **IN_VISIT)) == "dead_click 10:20"
    assert cause(GONE, *felt) is None


def test_a_click_that_an_error_answered_says_more_than_the_error():
    error, click = fired("page_error", at="10:50", weight=15.0, **IN_VISIT), fired("error_click", at="10:50", **IN_VISIT)

    assert cause(LEFT, error, click) == "error_click 10:50"
    assert cause(LEFT, error) == "page_error 10:50"


def test_a_late_parcel_explains_more_than_a_scan_that_nobody_misses():
    late = of_order("o1", at="+1d 10:00", due="+5d 10:00", expectation="delivered_by_promise")
    unseen = of_order("o1", at="+1d 10:00", due="+6d 10:00", expectation="next_scan_after_scan")

    assert cause(GONE, late, unseen) == late["outcome_id"]
    assert cause(GONE, unseen) == unseen["outcome_id"]
