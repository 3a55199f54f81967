"""What gets in the way on a page, and whether the customer leaves because of it.

Frames:  VISITS, PAGES -> TRODDEN (PAGES that are really opened, and the columns below)
Cases:   met and left because of it | met and stayed in spite of it | met, and left later for no reason
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import polars as pl

from pipeline.simulator.columns import schema
from pipeline.simulator.draws import Bools, Floats, Ints
from pipeline.simulator.obstacles import MOST_WEARY, OBSTACLE_KINDS, ON_A_BAD_DAY, ON_A_GOOD_DAY, WEARINESS, Obstacle
from pipeline.simulator.pages import PAGES, Kind, Stage
from pipeline.simulator.scenarios import Weather
from pipeline.simulator.visits import SignIn


class Moment(IntEnum):
    """Order of what can happen on one page."""

    OPENED = 0
    ARRIVED = 1
    WALLED = 2
    PAINTED = 3
    FAILED = 4
    SOUGHT = 5
    FILTERED = 6
    TRIED = 7
    HIT = 8
    BROKE = 9
    RAGED = 10
    FLIPPED = 11
    RESPONDED = 12
    WANDERED = 13
    RETREATED = 14
    REFUSED = 15
    LOCKED = 16
    STARTED = 17
    FILLED = 18
    RESTARTED = 19
    SETTLED = 20
    SOLD_OUT = 21
    PRICED = 22
    ASKED = 23
    HESITATED = 24
    DECLINED = 25
    DONE = 26
    LEFT = 27


NEVER = 99
"""A moment that does not come: nobody leaves because of anything on this page."""

VITALS = ("LCP", "INP", "CLS")
_VITAL_SHARES = (0.6, 0.25, 0.15)
_VITAL_MOMENTS = np.array([Moment.PAINTED, Moment.RESPONDED, Moment.SETTLED])

FORM_OF_KIND = {
    Kind.SIGN_IN: "login",
    Kind.REGISTER: "register",
    Kind.CHECKOUT: "contact",
    Kind.SHIPPING: "address",
    Kind.PAYMENT: "card",
    Kind.RFQ: "rfq",
    Kind.ONBOARDING: "onboarding",
}
_FORMS = tuple(FORM_OF_KIND)
_BUTTONED = (Kind.LISTING, Kind.PRODUCT, Kind.CART, Kind.CHECKOUT, Kind.SHIPPING, Kind.PAYMENT)
_LATE = (Kind.SHIPPING, Kind.PAYMENT)
_CHECKOUT = (Kind.CHECKOUT, *_LATE)


@dataclass(frozen=True)
class _Place:
    """Where a kind of friction can be met."""

    moment: Moment
    kinds: tuple[Kind, ...] | None
    """Kinds of page; None: any."""
    in_apps: bool = True


_PLACES = {
    "rage_click": _Place(Moment.RAGED, _BUTTONED),
    "form_error_loop": _Place(Moment.FILLED, _FORMS),
    "slow_page": _Place(Moment.PAINTED, None, in_apps=False),
    "page_error": _Place(Moment.FAILED, None),
    "dead_click": _Place(Moment.HIT, _BUTTONED),
    "error_click": _Place(Moment.BROKE, _BUTTONED, in_apps=False),
    "page_thrashing": _Place(Moment.WANDERED, (Kind.LISTING, Kind.PRODUCT)),
    "step_ping_pong": _Place(Moment.RETREATED, _CHECKOUT),
    "search_dead_end": _Place(Moment.SOUGHT, (Kind.SEARCH,)),
    "filter_dead_end": _Place(Moment.FILTERED, (Kind.LISTING,)),
    "coupon_rejected": _Place(Moment.REFUSED, (Kind.CART,)),
    "price_surprise": _Place(Moment.PRICED, _LATE),
    "out_of_stock_in_checkout": _Place(Moment.SOLD_OUT, _CHECKOUT),
    "payment_failed": _Place(Moment.DECLINED, (Kind.PAYMENT,)),
    "login_wall": _Place(Moment.WALLED, (Kind.CHECKOUT,)),
    "login_failed_repeatedly": _Place(Moment.LOCKED, (Kind.SIGN_IN,)),
    "help_in_checkout": _Place(Moment.ASKED, _CHECKOUT),
    "payment_hesitation": _Place(Moment.HESITATED, (Kind.PAYMENT,)),
    "option_flipping": _Place(Moment.FLIPPED, (Kind.PRODUCT, Kind.CART)),
    "form_restarted": _Place(Moment.RESTARTED, (Kind.RFQ, Kind.ONBOARDING)),
}
_ONCE = ("price_surprise", "out_of_stock_in_checkout", "help_in_checkout")
"""Kinds that nobody meets twice in a visit: once told, people know."""
_MOMENTS = np.array([_PLACES[kind].moment for kind in OBSTACLE_KINDS])
_SLOW = OBSTACLE_KINDS.index("slow_page")

TRODDEN = schema(
    {
        **PAGES,
        **dict.fromkeys(OBSTACLE_KINDS, pl.Boolean),
        "vital": pl.Int64,
        "cut": pl.Int64,
        "ended_by": pl.Int64,
        "end_chance": pl.Float64,
        "weary": pl.Int64,
        "is_shocked": pl.Boolean,
    }
)
"""One flag a kind of friction: it is met here. `vital`: index into VITALS of a slow page. `cut`: the last moment before the customer leaves because of
friction, NEVER if not here. `ended_by`: index into KINDS of what made the customer leave, -1 if nothing did; `end_chance`: the probability that it had.
`weary`: a bit a kind that is met after another one. `is_shocked`: a shock hits this visit."""


def trodden(
    rng: np.random.Generator, visits: pl.DataFrame, pages: pl.DataFrame, obstacles: Sequence[Obstacle], weather: Weather
) -> pl.DataFrame:
    """The pages that are opened until somebody has had enough, with the friction met on each. Frames: VISITS, PAGES -> TRODDEN."""
    n = pages.height
    visit = pages["visit"].to_numpy()
    vital = rng.choice(len(VITALS), n, p=_VITAL_SHARES)
    is_shocked = _shocked(visits, weather)
    met = _met(rng, visits, pages, obstacles, weather=weather, is_shocked=is_shocked)
    page, kind = np.nonzero(met)
    moment = _MOMENTS[kind]
    moment = np.where(kind == _SLOW, _VITAL_MOMENTS[vital[page]], moment)
    order = np.lexsort((kind, moment, page))
    page, kind, moment = page[order], kind[order], moment[order]
    is_weary = _others_before(visit[page], kind)
    chance = chances(obstacles)[is_weary.astype(np.int64), kind]
    weary = np.zeros(n, dtype=np.int64)
    np.bitwise_or.at(weary, page[is_weary], 1 << kind[is_weary])
    leaves = np.flatnonzero(rng.random(len(page)) < chance)
    # The first that drives a visitor away is the last that is met.
    leaves = leaves[np.unique(visit[page[leaves]], return_index=True)[1]]
    cut, ended_by, end_chance = np.full(n, NEVER), np.full(n, -1), np.zeros(n)
    cut[page[leaves]], ended_by[page[leaves]], end_chance[page[leaves]] = moment[leaves], kind[leaves], chance[leaves]
    last = np.full(visits.height, n)
    last[visit[page[leaves]]] = page[leaves]
    met[page, kind] &= moment <= cut[page]
    return pages.with_columns(
        *(pl.Series(name, met[:, which]) for which, name in enumerate(OBSTACLE_KINDS)),
        pl.Series("vital", vital),
        pl.Series("cut", cut),
        pl.Series("ended_by", ended_by),
        pl.Series("end_chance", end_chance),
        pl.Series("weary", weary),
        pl.Series("is_shocked", is_shocked[visit]),
    ).filter(pl.Series(np.arange(n) <= last[visit]))


def _met(
    rng: np.random.Generator,
    visits: pl.DataFrame,
    pages: pl.DataFrame,
    obstacles: Sequence[Obstacle],
    *,
    weather: Weather,
    is_shocked: Bools,
) -> Bools:
    """A row a page, a column a kind: would it be met here, if the page is opened?"""
    visit = pages["visit"].to_numpy()
    is_buying = pages["stage"].to_numpy() >= Stage.ERRAND
    luck = np.where(visits["is_bad_day"].to_numpy(), ON_A_BAD_DAY, ON_A_GOOD_DAY)[visit]
    met = np.zeros((pages.height, len(OBSTACLE_KINDS)), dtype=bool)
    shock = weather.scenario.pages
    for obstacle in obstacles:
        could = np.flatnonzero(_could_meet(obstacle.kind, visits, pages))
        chance = np.where(is_buying[could], obstacle.while_buying, obstacle.while_exploring) * luck[could]
        if shock is not None and shock.obstacle == obstacle.kind:
            chance = np.where(is_shocked[visit[could]], np.maximum(chance, shock.chance), chance)
        here = could[rng.random(len(could)) < chance]
        if obstacle.kind in _ONCE:
            here = here[np.unique(visit[here], return_index=True)[1]]
        met[here, OBSTACLE_KINDS.index(obstacle.kind)] = True
    return met


def _shocked(visits: pl.DataFrame, weather: Weather) -> Bools:
    shock = weather.scenario.pages
    hit: Bools = weather.hits(shock, visits["at_ms"].to_numpy()) & ~visits["is_bot"].to_numpy()
    if shock is not None and shock.device is not None:
        hit &= (visits["device_name"] == shock.device).to_numpy()
    return hit


def _could_meet(kind: str, visits: pl.DataFrame, pages: pl.DataFrame) -> Bools:
    """Pages on which this kind can be planted: once a path and visit, never on a bot, never after the purchase."""
    visit, page_kind, place = pages["visit"].to_numpy(), pages["kind"].to_numpy(), _PLACES[kind]
    could: Bools = pages["is_new"].to_numpy() & (pages["stage"].to_numpy() < Stage.CONFIRMATION)
    could &= ~visits["is_bot"].to_numpy()[visit]
    if place.kinds is not None:
        could &= np.isin(page_kind, place.kinds)
    if not place.in_apps:
        could &= (visits["device_name"] != "app").to_numpy()[visit]
    if kind == "page_thrashing":
        could &= ~pages["is_first"].to_numpy() & (pages["stage"].to_numpy() == Stage.EXPLORING)
    elif kind == "payment_failed":
        could &= pages["goes_on"].to_numpy()
    elif kind == "login_wall":
        stranger = ~visits["is_remembered"].to_numpy() & (visits["sign_in"].to_numpy() == SignIn.NEVER)
        could &= stranger[visit]
    return could


def _others_before(visit: Ints, kind: Ints) -> Bools:
    """Of frictions in order of time: was one of another kind met before in the same visit?"""
    n = len(visit)
    if not n:
        return visit.astype(bool)
    begins = np.ones(n, dtype=bool)
    begins[1:] = visit[1:] != visit[:-1]
    first = np.flatnonzero(begins)[np.cumsum(begins) - 1]
    differs = kind != kind[first]
    n_before = np.cumsum(differs) - differs
    before: Bools = differs | (n_before > n_before[first])
    return before


def chances(obstacles: Sequence[Obstacle]) -> Floats:
    """The probability that each kind drives a visitor away, a column a kind: in the first row where it is the first kind met, in the second where it is not."""
    first = np.zeros(len(OBSTACLE_KINDS))
    for obstacle in obstacles:
        first[OBSTACLE_KINDS.index(obstacle.kind)] = obstacle.makes_leave
    return np.array([first, np.maximum(first, np.minimum(first * WEARINESS, MOST_WEARY))])
