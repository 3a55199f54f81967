"""Signals of the user's own in the fold: weight, columns that nobody else asks, restarts, other settings. The promises of any signal: contracts/."""

from dataclasses import replace

import pytest
from hypothesis import given

from pipeline.definitions import OWN_PLACES, AnySignal, Own
from pipeline.friction import WEIGHTS
from pipeline.own_signals import OwnRule, own_signal
from pipeline.sessions import SessionsFold
from tests.builders import Event, cart, click, clock, frame, product, records, watermarks
from tests.strategies import RULES, Crowd, crowds, holds, without
from tests.views import FAR, compared, now, told


def own(name: str, rule: OwnRule, place: int = OWN_PLACES[0], **said) -> AnySignal:
    return own_signal(name, rule, Own(place, **{"weight": 40.0, **said}), "Something.")


def fold_of(*signals: AnySignal) -> SessionsFold:
    return SessionsFold(replace(RULES, signals=(*RULES.signals, *signals)))


LOOKS = own("looks", OwnRule(("view_item", "click"), "country = 'NL'", 3, 60))
ALONE = own("dutch_click", OwnRule(("click",), "country = 'NL' AND device = 'mobile'"), OWN_PLACES[1], weight=25.0)
BROAD = (
    own("often", OwnRule(("view_item", "click", "page_view"), "page IS NOT NULL", 3, 3_600)),
    own("any", OwnRule(("add_to_cart",), "cart_id IS NULL"), OWN_PLACES[7]),
)


def test_the_places_of_own_signals_are_free():
    assert len(WEIGHTS) <= min(OWN_PLACES)


def test_a_condition_may_ask_columns_that_no_other_signal_reads():
    log = records([click(at="10:00", country="NL", device="mobile"), click(at="10:01", country="BE", device="mobile")])
    view = now(told(fold_of(ALONE), log, until=FAR))

    (row,) = view["signals"].to_dicts()
    assert (row["signal"], row["fired_at"], row["weight"], row["rule"]) == ("dutch_click", clock("10:00"), 25.0, "custom")
    assert view["sessions"]["friction_score"].to_list() == [25.0]


def test_who_answers_for_it_and_where_it_is_told_can_be_said():
    said = (
        own("at_payment", OwnRule(("view_item",)), journey="shop", step="payment", owner="us"),
        own("here", OwnRule(("view_item",)), 25),
    )
    log = records([product(at="10:00"), cart(at="10:01")])
    view = now(told(fold_of(*said), log, until=FAR))

    told_at = {row["signal"]: (row["journey"], row["step"], row["owner"]) for row in view["signals"].to_dicts()}
    assert told_at == {"at_payment": ("shop", "payment", "us"), "here": ("shop", "product", "catalogue")}


def test_a_step_that_no_journey_has_is_an_error():
    with pytest.raises(ValueError, match="signal x: no step 'till': journey 'shop' has browse"):
        fold_of(own("x", OwnRule(("click",)), journey="shop", step="till"))
    with pytest.raises(ValueError, match="signal x: no step 'pay': there is no journey 'shopp'"):
        fold_of(own("x", OwnRule(("click",)), journey="shopp", step="pay"))


@given(crowds())
def test_neither_batches_nor_a_restart_change_what_they_say(crowd: Crowd):
    fold = fold_of(*BROAD)

    def started_again(state):
        written = {partition: {piece.name: piece.frame() for piece in state.pieces(partition)} for partition in (0, 1)}
        return fold.empty().restored(0, written[0]).restored(1, written[1])

    def broken(log: list[Event]) -> list[str]:
        whole = told(fold, without(log, "cut_before"), until=FAR)
        return compared(told(fold, log, until=FAR), whole) + compared(told(fold, log, until=FAR, between=started_again), whole)

    assert holds(crowd.log, broken)


def fired_after(before: SessionsFold, after: SessionsFold) -> list[str]:
    """What fires at the third look, when the first two were kept under other settings."""
    looks = [product(at=f"10:00:0{second}", country="NL", page=f"/{second}") for second in range(3)]
    first = before.step(before.empty(), frame(looks[:2]), watermarks({0: None}))
    state = after.empty().restored(0, {piece.name: piece.frame() for piece in first.state.pieces(0)})
    second = after.step(state, frame(looks[2:]), first.watermarks)
    return [row["signal"] for rows in [now([second]).get("signals")] if rows is not None for row in rows.to_dicts()]


def test_what_was_kept_counts_on_wherever_the_signal_stands_in_the_settings_now():
    elsewhere = own("renamed", LOOKS.rule, OWN_PLACES[6])

    assert fired_after(fold_of(LOOKS), fold_of(LOOKS)) == ["looks"]
    assert fired_after(fold_of(LOOKS), fold_of(ALONE, elsewhere)) == ["renamed"]


def test_what_was_kept_for_another_condition_does_not_count():
    other = own("looks", replace(LOOKS.rule, where="country IN ('NL', 'BE')"))

    assert fired_after(fold_of(LOOKS), fold_of(other)) == []
    assert fired_after(fold_of(), fold_of(LOOKS)) == []
    assert fired_after(fold_of(LOOKS), fold_of()) == []


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ({"event_types": ()}, "at least one type of event"),
        ({"event_types": ("clicks",)}, "'clicks' is no type of event; the nearest is 'click'"),
        ({"count": 0}, "count must be from 1 to 100, not 0"),
        ({"count": 3}, "within_s must say within which time 3 of them count"),
        ({"within_s": 60}, "where one event is enough"),
        ({"count": 3, "within_s": 90_000}, "within_s must be from 1 to 86400, not 90000"),
        ({"where": "elements = 'x'"}, "there is no column 'elements'"),
    ],
)
def test_a_rule_that_makes_no_sense_is_an_error(numbers, told):
    with pytest.raises(ValueError, match=told):
        OwnRule(**{"event_types": ("click",), **numbers})
