"""Counts of cases and people beside the laws: other rules, what is frozen, and what is told to whoever judges them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from pipeline.frames import ROLLUPS
from pipeline.fulfilment import FulfilmentFold
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.journeys import JourneysFold
from pipeline.passed import COUNT, COUNTS, EXAMPLE, EXAMPLES, travelling
from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from tests.builders import Event, cart, click, clock, frame, happened, purchase, view, watermarks
from tests.commerce_strategies import RULES
from tests.people_strategies import FAR, Town
from tests.people_strategies import RULES as PEOPLE_RULES
from tests.people_topic import told_people
from tests.properties.test_recovery import through_arrow
from tests.views import now, told

DAY = timedelta(days=1)
ASKED = {"expectation": "confirmation_after_payment"}


def paid(*, at: str, **fields) -> Event:
    return happened(
        "payment_authorized",
        at,
        {"offset": 0, "record_at": clock(at), **fields},
        {"family": "order", "order_id": "o1", "partition": 0},
    )


def confirmed(*, at: str, arrives: str, **fields) -> Event:
    known = {"offset": 1, "record_at": clock(arrives), "cut_before": True}
    return happened("order_confirmed", at, {**known, **fields}, {"family": "order", "order_id": "o1", "partition": 0})


def counts(steps, **asked) -> dict[str, int]:
    """Measure -> how many, of what is asked for."""
    rows = now(steps)["rollups"].filter(pl.col("n") != 0, *(pl.col(name) == value for name, value in asked.items()))
    return dict(rows.group_by("measure").agg(pl.col("n").sum()).rows())


def test_a_wait_that_lapses_and_is_met_in_time_after_all_moves_from_one_count_to_another():
    log = [paid(at="10:00"), confirmed(at="10:30", arrives="+2d 10:00")]

    before = told(FulfilmentFold(RULES), log[:1], until=clock("+1d 10:00"))
    after = told(FulfilmentFold(RULES), log, until=clock("+2d 12:00"))

    assert counts(before, **ASKED) == {"began": 1, "abandoned": 1}
    assert counts(after, **ASKED) == {"began": 1, "met": 1}


def test_a_wait_for_what_the_shop_never_sends_is_counted_only_until_it_is_due():
    log = [paid(at="10:00")]

    assert counts(told(FulfilmentFold(), log, until=clock("10:30")), **ASKED) == {"began": 1}
    assert counts(told(FulfilmentFold(), log, until=clock("+1d 10:00")), **ASKED) == {}


@pytest.mark.parametrize("way", ["other expectations", "other dimensions", "another interval"])
def test_at_other_rules_all_is_counted_anew(way: str):
    """Nothing of the case has changed, and half of it was counted by the old rules."""
    others = {
        "other expectations": replace(
            RULES, expectations=tuple(each for each in RULES.expectations if each.name != ASKED["expectation"])
        ),
        "other dimensions": replace(RULES, dimensions=("country",)),
        "another interval": replace(RULES, interval=DAY),
    }
    log = [paid(at="10:00", country="DE")]
    first = told(FulfilmentFold(RULES), log, until=clock("+1d 10:00"))
    fold = FulfilmentFold(others[way])
    kept = {piece.name: through_arrow(piece.frame()) for piece in first[-1].state.pieces(0)}
    then = fold.step(fold.empty().restored(0, kept), frame([], "commerce"), watermarks({0: clock("+1d 11:00")}))

    anew = now(told(fold, log, until=clock("+1d 11:00"))).get("rollups", ROLLUPS.schema.to_frame())
    shown = now([*first, then])["rollups"].filter(pl.col("n") != 0)
    if way == "another interval":  # those of the old one are another's, and stay
        shown = shown.filter(pl.col("interval_s") == 86_400)
    assert shown.equals(anew.filter(pl.col("n") != 0))


@pytest.mark.parametrize("others", [{"dimensions": ("device", "country")}, {"dimensions": ()}, {"interval": timedelta(hours=1)}])
@pytest.mark.parametrize("n_more", [0, 1])
def test_visits_that_were_counted_by_other_rules_are_counted_by_these(others: dict[str, Any], n_more: int):
    """What they added is taken away as it was added: nothing counts twice, nothing less than nothing."""
    log = [
        view(at="10:00", device="mobile", country="DE", partition=0, offset=0),
        cart(at="10:07", partition=0, offset=1),
        view(at="10:08", visitor_id="bob", partition=0, offset=2),
        purchase(at="10:20", partition=0, offset=3),
    ]
    fold = SessionsFold(SessionRules(**others))
    first = told(SessionsFold(), log[:3], until=clock("10:09"))
    kept = {piece.name: through_arrow(piece.frame()) for piece in first[-1].state.pieces(0)}
    rest = frame(log[3 : 3 + n_more])
    then = fold.step(fold.empty().restored(0, kept), rest, watermarks({0: clock("10:30")}))

    anew = now(told(fold, log[: 3 + n_more], until=clock("10:30")))["rollups"]
    shown = now([*first, then])["rollups"].filter(pl.col("n") != 0)
    if "interval" in others:  # those of the old one are another's, and stay
        shown = shown.filter(pl.col("interval_s") == 3_600)
    assert shown.equals(anew.filter(pl.col("n") != 0))


def test_a_count_is_frozen_in_the_end_and_stays_as_it_is():
    rules = replace(RULES, count_memory=DAY, dedup_horizon=30 * DAY)
    fold = FulfilmentFold(rules)
    steps = told(fold, [paid(at="10:00")], until=clock("+20d 10:00"))
    late = frame([confirmed(at="10:30", arrives="+20d 11:00")], "commerce")
    steps.append(fold.step(steps[-1].state, late, steps[-1].watermarks))

    assert counts(steps, **ASKED) == {"began": 1, "abandoned": 1}
    assert steps[-1].state.tally.rollups.counts.frame().filter(pl.col("measure") == "abandoned").is_empty()


def test_counts_stay_when_cases_leave_the_state():
    rules = FulfilmentRules(expectations=RULES.expectations, retention=DAY, dedup_horizon=DAY, count_memory=400 * DAY)
    steps = told(FulfilmentFold(rules), [paid(at="10:00")], until=clock("+40d 10:00"))

    assert steps[-1].state.cases.height == 0
    assert steps[-1].state.tally.given.height == 0
    assert counts(steps, **ASKED) == {"began": 1, "abandoned": 1}


def test_counts_of_people_are_those_of_their_rows():
    """Of an arbitrary town: every verdict, and every signal of a contact."""
    town = Town(seed=4, households=12)
    line = told_people(JourneysFold(PEOPLE_RULES), town.log, town.n_partitions, until=FAR)
    shown = line.now()
    found = dict(shown["rollups"].group_by("measure").agg(pl.col("n").sum()).rows())

    verdicts = dict(shown["outcomes"].group_by("status").len().rows())
    assert verdicts["silent"] > 0
    assert {name: found.get(name, 0) for name in verdicts} == verdicts
    assert found["signals"] == shown["signals"].height


def test_changed_counts_and_examples_are_passed_on_as_they_travel():
    fold = SessionsFold()
    step = fold.step(fold.empty(), frame([view(at="10:00"), cart(at="10:01")]), watermarks({0: None}))
    later = fold.step(step.state, frame([]), watermarks({0: clock("12:00")}))
    passed = {each.table: each.rows for each in later.passed if each.to == COUNTS}

    assert set(passed) == {COUNT, EXAMPLE}
    for table, rows in passed.items():
        assert {name: rows.schema[name] for name in travelling(table)} == dict(travelling(table))
    assert passed[COUNT].select(ROLLUPS.schema.names()).equals(later.tables["rollups"].select(ROLLUPS.schema.names()))
    assert set(passed[COUNT]["key"]) == {"site:shop"}
    (lapse,) = passed[EXAMPLE].select(EXAMPLES.names()).to_dicts()
    (outcome,) = later.tables["outcomes"].to_dicts()
    assert (lapse["measure"], lapse["expectation"], lapse["step"]) == ("abandoned", "order_after_commit", "cart")
    assert lapse["example"] == f"{outcome['visitor_id']}/{outcome['session_id']}"
    assert lapse["value_minor"] == outcome["value_minor"]


def test_a_signal_of_whom_it_is_told_has_the_money_of_the_cart_or_the_order():
    clicks = [
        cart(at="10:01", session_id="s1", amount_minor=4_200, currency="EUR"),
        click("payment_failed", at="10:02", session_id="s1"),
    ]
    visits = SessionsFold()
    visit = visits.step(visits.empty(), frame(clicks), watermarks({0: None}))
    standing = {"family": "order", "order_id": "o1", "partition": 0}
    declined = [
        happened("payment_failed", at, {"offset": no, "record_at": clock(at)}, standing)
        for no, at in enumerate(("10:02", "10:03"), 1)
    ]
    cases = told(FulfilmentFold(RULES), [paid(at="10:00", amount_minor=990, currency="USD"), *declined])

    for steps, signal, ours in (
        ([visit], "payment_failed", ("ann/s1", 4_200, "EUR")),
        (cases, "payment_declined_twice", ("o1", 990, "USD")),
    ):
        examples = pl.concat(each.rows for step in steps for each in step.passed if each.table == EXAMPLE)
        fired = examples.filter(pl.col("signal") == signal).select("example", "value_minor", "currency").rows()
        assert fired == [ours]


def test_of_a_count_that_is_taken_back_nothing_is_left():
    fold = FulfilmentFold(RULES)
    step = told(fold, [paid(at="10:00")])[-1]
    said = step.tables["rollups"].filter(pl.col("expectation") == ASKED["expectation"]).drop("partition")

    kept = fold.passed_again(step.state, 0, {"rollups": said}, {"rollups": said.clear()})
    (gone,) = fold.passed_again(
        fold.empty(), 0, {"rollups": said}, {"rollups": said.with_columns(pl.lit(1, pl.UInt8).alias("is_deleted"))}
    )

    assert [(each.to, each.table, each.rows["n"].to_list()) for each in kept] == [(COUNTS, COUNT, [1])]
    assert gone.rows.select("measure", "n", "is_deleted", "partition").rows() == [("began", 0, 1, 0)]
