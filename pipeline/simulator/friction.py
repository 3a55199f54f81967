"""What gets in the way on a page, and whether the customer leaves because of it.

Frames:  VISITS, PAGES -> TRODDEN (PAGES that are really opened, and the columns below)
Cases:   met and left because of it | met and stayed in spite of it | met, and left later for no reason
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import polars as pl

from pipeline.simulator.columns import schema
from pipeline.simulator.draws import Bools
from pipeline.simulator.pages import PAGES, Kind, Stage


class Moment(IntEnum):
    """Order of what can happen on one page."""

    OPENED = 0
    ARRIVED = 1
    PAINTED = 2
    FAILED = 3
    TRIED = 4
    RAGED = 5
    RESPONDED = 6
    FILLED = 7
    SETTLED = 8
    DONE = 9
    LEFT = 10


NEVER = 99
"""A moment that does not come: nobody leaves because of anything on this page."""


@dataclass(frozen=True)
class Obstacle:
    """One kind of friction: how often it is planted, and what it does to people."""

    kind: str
    while_exploring: float
    """Probability a page before the cart."""
    while_buying: float
    """Probability a page from the cart to the payment."""
    makes_leave: float
    """Probability that somebody who meets it ends the visit there and then, because of it."""

    def __post_init__(self) -> None:
        """Raises: ValueError if a probability is none or the kind is unknown."""
        if self.kind not in KINDS:
            message = f"unknown kind of friction: {self.kind}; known: {', '.join(KINDS)}"
            raise ValueError(message)
        if not all(0 <= chance <= 1 for chance in (self.while_exploring, self.while_buying, self.makes_leave)):
            message = f"obstacle {self.kind}: probabilities lie between 0 and 1"
            raise ValueError(message)


KINDS = ("rage_click", "form_error_loop", "slow_page", "page_error")

OBSTACLES = (
    Obstacle("rage_click", while_exploring=0.008, while_buying=0.06, makes_leave=0.50),
    Obstacle("form_error_loop", while_exploring=0.05, while_buying=0.08, makes_leave=0.60),
    Obstacle("slow_page", while_exploring=0.015, while_buying=0.05, makes_leave=0.30),
    Obstacle("page_error", while_exploring=0.008, while_buying=0.05, makes_leave=0.45),
)
"""Planted by default: about every third person who buys meets at least one."""

VITALS = ("LCP", "INP", "CLS")
_VITAL_SHARES = (0.6, 0.25, 0.15)
_VITAL_MOMENTS = np.array([Moment.PAINTED, Moment.RESPONDED, Moment.SETTLED])

FORM_OF_KIND = {
    Kind.SIGN_IN: "login",
    Kind.REGISTER: "register",
    Kind.CHECKOUT: "contact",
    Kind.SHIPPING: "address",
    Kind.PAYMENT: "card",
}
_BUTTONED = (Kind.LISTING, Kind.PRODUCT, Kind.CART, Kind.CHECKOUT, Kind.SHIPPING, Kind.PAYMENT)

TRODDEN = schema(
    {
        **PAGES,
        "rage_click": pl.Boolean,
        "form_error_loop": pl.Boolean,
        "slow_page": pl.Boolean,
        "page_error": pl.Boolean,
        "vital": pl.Int64,
        "cut": pl.Int64,
        "ended_by": pl.Int64,
    }
)
"""One flag a kind of friction: it is met here. `vital`: index into VITALS of a slow page. `cut`: the last moment before the customer leaves because of
friction, NEVER if not here. `ended_by`: index into KINDS of what made the customer leave, -1 if nothing did."""


def trodden(rng: np.random.Generator, visits: pl.DataFrame, pages: pl.DataFrame, obstacles: tuple[Obstacle, ...]) -> pl.DataFrame:
    """The pages that are opened until somebody has had enough, with the friction met on each. Frames: VISITS, PAGES -> TRODDEN."""
    n = pages.height
    visit = pages["visit"].to_numpy()
    vital = rng.choice(len(VITALS), n, p=_VITAL_SHARES)
    moments = np.full((n, len(KINDS)), NEVER)
    met = np.zeros((n, len(KINDS)), dtype=bool)
    leaves = np.zeros((n, len(KINDS)), dtype=bool)
    is_buying = pages["stage"].to_numpy() >= Stage.CART
    for obstacle in obstacles:
        which = KINDS.index(obstacle.kind)
        chance = np.where(is_buying, obstacle.while_buying, obstacle.while_exploring)
        met[:, which] = _could_meet(obstacle.kind, visits, pages) & (rng.random(n) < chance)
        leaves[:, which] = met[:, which] & (rng.random(n) < obstacle.makes_leave)
    moments[:, 0], moments[:, 1], moments[:, 3] = Moment.RAGED, Moment.FILLED, Moment.FAILED
    moments[:, 2] = _VITAL_MOMENTS[vital]

    left_at = np.where(leaves, moments, NEVER)
    cut = left_at.min(axis=1, initial=NEVER)
    ended_by = np.where(cut < NEVER, left_at.argmin(axis=1), -1)
    met &= moments <= cut[:, None]
    # Nobody meets what stands on a page that is never opened.
    last = np.full(visits.height, n)
    np.minimum.at(last, visit[cut < NEVER], np.flatnonzero(cut < NEVER))
    return pages.with_columns(
        *(pl.Series(kind, met[:, which]) for which, kind in enumerate(KINDS)),
        pl.Series("vital", vital),
        pl.Series("cut", cut),
        pl.Series("ended_by", ended_by),
    ).filter(pl.Series(np.arange(n) <= last[visit]))


def _could_meet(kind: str, visits: pl.DataFrame, pages: pl.DataFrame) -> Bools:
    """Pages on which this kind can be planted: once a path and visit, never on a bot, never after the purchase."""
    visit, page_kind = pages["visit"].to_numpy(), pages["kind"].to_numpy()
    is_app = (visits["device_name"] == "app").to_numpy()[visit]
    could: Bools = pages["is_new"].to_numpy() & (pages["stage"].to_numpy() < Stage.CONFIRMATION)
    could &= ~visits["is_bot"].to_numpy()[visit]
    if kind == "rage_click":
        could &= np.isin(page_kind, _BUTTONED)
    elif kind == "form_error_loop":
        could &= np.isin(page_kind, list(FORM_OF_KIND))
    elif kind == "slow_page":
        could &= ~is_app
    return could
