"""More friction never lowers the score of a session or of a step.

A score is a sum of what fired, so this asks whether more events can make less fire. What fires depends on what was before, never on what comes: friction
that comes after all else takes nothing back. Nor does friction at a time when nothing else goes on, nor at any time what one event alone tells.

There are two ways in which it can, and both are what the rules mean: a run is one signal however long, so what joins two runs leaves one; and who hits
something else in between has not hit one thing in a row. The last tests say so. A step can lose to another one what the session keeps: who is further on meets
what follows there, and what is left undone is told where it was last touched.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipeline.definitions import AnySignal, Fires, Happening, happened
from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from pipeline.signals import SIGNALS
from tests import strategies as _profile  # noqa: F401 - loads the profile of Hypothesis
from tests.builders import MONDAY, Event, click, records
from tests.views import FAR, now, told

FOLD = SessionsFold(SessionRules())
N_VISITORS = 60
MS, SECOND, HOUR = timedelta(milliseconds=1), timedelta(seconds=1), timedelta(hours=1)
LULL = 5 * HOUR
"""Longer than any signal looks back; the emitter's session id goes on over it."""
GETS_ON = frozenset(
    {
        *("purchase", "payment_submitted", "form_submit", "login", "sign_up", "view_item", "add_to_cart", "remove_from_cart"),
        *("view_cart", "begin_checkout", "add_shipping_info", "add_payment_info", "rfq_step", "approval_step", "onboarding_step"),
    }
)
"""What carries a visit on is no friction: it ends what was left undone."""
STEPS = ["site", "instance_id", "journey", "step"]
SESSIONS = ["site", "visitor_id", "session_id"]


def fitting(signal: AnySignal) -> list[tuple[Happening, ...]]:
    """Its examples of nothing but friction."""
    examples = [example.events for example in signal.examples if isinstance(example, Fires) and example.profile == "default"]
    return [events for events in examples if not GETS_ON.intersection(event["event_type"] for event in events)]


ANYTHING = [example.events for signal in SIGNALS for example in signal.examples if example.profile == "default"]
FRICTION = [events for signal in SIGNALS if signal.closing is None for events in fitting(signal)]
ALONE = [events for signal in SIGNALS if not signal.look_back for events in fitting(signal) if len(events) == 1]


def lived(events: Iterable[Happening], who: str, begin: datetime, number: Iterable[int], *, form: str = "") -> list[Event]:
    """An example as something that a visitor does, in the one session that he has; `form` goes before the names of forms."""
    return [
        click(
            str(event["event_type"]),
            at=begin + timedelta(milliseconds=int(str(event["at_ms"]))),
            **{
                "page": "/cart",
                **{name: said for name, said in event.items() if name not in ("event_type", "at_ms")},
                **({"form": f"{form}{event['form']}"} if event.get("form") else {}),
                "visitor_id": who,
                "session_id": "one",
                "event_id": f"{who}-{nth}",
            },
        )
        for event, nth in zip(events, number, strict=False)
    ]


def life(dice: Random, who: str, begin: datetime, number: Iterable[int]) -> list[Event]:
    """Some minutes in which several things happen at once."""
    return [
        event
        for events in dice.choices(ANYTHING, k=dice.randint(1, 4))
        for event in lived(events, who, begin + dice.choice((SECOND, 60 * SECOND, 600 * SECOND)) * dice.random(), number)
    ]


def last_at(events: Sequence[Event]) -> datetime:
    return max(event["event_at"] for event in events)


def scores(events: Iterable[Event]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Of every session, and of every step; `came`: when each step of its session was reached."""
    shown = now(told(FOLD, records(sorted(events, key=lambda event: event["event_at"])), until=FAR))
    steps = shown["steps"].select(*STEPS, "friction_score", came=pl.col("first_at").sort().implode().over("instance_id"))
    return shown["sessions"].select(*SESSIONS, "friction_score"), steps


def lowered(lives: Iterable[tuple[list[Event], list[Event]]]) -> list[dict[str, Any]]:
    """Sessions and steps that have fewer points with the second events than with the first alone."""
    pairs = list(lives)
    without = scores(event for base, _ in pairs for event in base)
    with_more = scores(event for base, more in pairs for event in (*base, *more))
    assert 0 < without[0]["friction_score"].sum() < with_more[0]["friction_score"].sum(), "there is friction, and more of it"
    found: list[dict[str, Any]] = []
    for key, before, after in zip((SESSIONS, STEPS), without, with_more, strict=True):
        both = before.join(after, on=key, how="left", suffix="_after")
        is_lower = ~(pl.col("friction_score_after") >= pl.col("friction_score")).fill_null(value=False)
        found += both.filter(is_lower).to_dicts()
    over = {base[0]["visitor_id"]: last_at(base) for base, _ in pairs}
    return [row for row in found if "came" not in row or not got_further(row, over[row["instance_id"].partition("/")[0]])]


def got_further(row: dict[str, Any], over_at: datetime) -> bool:
    """Whether the added friction took the visit to another step before something that was there anyway."""
    before, after = ([at for at in row[name] or () if at <= over_at] for name in ("came", "came_after"))
    return before != after


def crowd(
    seed: int, one: Callable[[Random, str, "count[int]"], tuple[list[Event], list[Event]]]
) -> list[tuple[list[Event], list[Event]]]:
    """Many visitors: what each lives through, and the friction that is added."""
    dice = Random(seed)
    return [one(dice, f"v{visitor}", count()) for visitor in range(N_VISITORS)]


@given(st.integers(0, 2**32))
def test_friction_after_all_else_lowers_no_score(seed: int):
    def one(dice: Random, who: str, number: "count[int]") -> tuple[list[Event], list[Event]]:
        base = life(dice, who, MONDAY, number)
        begin = last_at(base) + dice.choice((MS, 300 * MS, SECOND, 10 * SECOND, 300 * SECOND))
        return base, lived(dice.choice(FRICTION), who, begin, number, form="another-")

    assert lowered(crowd(seed, one)) == []


@given(st.integers(0, 2**32))
def test_friction_while_nothing_else_goes_on_lowers_no_score(seed: int):
    def one(dice: Random, who: str, number: "count[int]") -> tuple[list[Event], list[Event]]:
        base = life(dice, who, MONDAY, number)
        more = lived(dice.choice(FRICTION), who, last_at(base) + LULL, number, form="another-")
        return base + life(dice, who, last_at(more) + LULL, number), more

    assert lowered(crowd(seed, one)) == []


@given(st.integers(0, 2**32))
def test_what_one_event_tells_lowers_no_score_at_any_time(seed: int):
    def one(dice: Random, who: str, number: "count[int]") -> tuple[list[Event], list[Event]]:
        base = life(dice, who, MONDAY, number)
        return base, lived(dice.choice(ALONE), who, MONDAY + dice.random() * (last_at(base) - MONDAY), number)

    assert lowered(crowd(seed, one)) == []


def n_fired(*events: Happening) -> int:
    """How many signals fire."""
    return now(told(FOLD, records(lived(events, "ann", MONDAY, count())), until=FAR)).get("signals", pl.DataFrame()).height


def hit(element: str, at_ms: int) -> Happening:
    return happened("click", at_ms=at_ms, element=element, element_role="button")


def test_what_joins_two_runs_leaves_one():
    first, between, second = (happened("coupon_rejected", at_ms=at, coupon="SPRING") for at in (0, 40_000, 80_000))

    assert (n_fired(first, second), n_fired(first, between, second)) == (2, 1)


def test_who_hits_something_else_in_between_has_not_hit_one_thing_in_a_row():
    rage = [hit("buy", at) for at in (0, 300, 600)]

    assert (n_fired(*rage), n_fired(rage[0], rage[1], hit("help", 450), rage[2])) == (1, 0)
