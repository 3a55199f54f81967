"""How likely it is that what a case waits for does not come in time.

Most of what comes at all comes early in a wait: who pays again does so in the first hours of a day, who answers a quote in the first days of two weeks. If it has
the same chance to come at every moment, the logit of the risk rises evenly with the share of the wait that has gone by. What is promised for a time comes near that
time: silence says little before, and then much; there it rises with the third power of the share. Friction and waits that lapsed before add to both. And whoever brings
it may say a later date himself: then little is left to guess, whatever is usual in the shop.

Time:    the share is of all hours, where the wait counts working hours too
Cases:   an expectation of which nothing is known -> `base_of_others`
Source:  fitted on simulated shops (tests/accuracy/risk_fit.py, seeds printed there); tests/accuracy/test_risk_accuracy.py says on fresh ones how well it holds
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.expectation import Expectation
from pipeline.friction import MOST
from pipeline.groups import NEVER, Mask, Millis
from pipeline.risk import RiskBands, Risks, probability

_BASE = {
    "answer_after_quote": -0.7,
    "bulk_price_after_request": -3.1,
    "confirmation_after_payment": -5.0,
    "decision_after_approval_request": -1.3,
    "delivered_by_promise": -3.2,
    "first_scan_after_shipping": -5.0,
    "next_onboarding_step": -2.0,
    "next_scan_after_scan": -4.5,
    "quote_after_request": -3.9,
    "refund_after_return": -5.0,
    "retry_after_payment_failure": -3.4,
    "shipping_after_confirmation": -4.3,
}
"""-5: it never lapsed in the shops that this was fitted on."""


@dataclass(frozen=True)
class CaseRisk:
    """The terms of the logit."""

    base: Mapping[str, float] = field(default_factory=lambda: _BASE)
    """Expectation -> at the start of its wait, when nothing went wrong before."""
    base_of_others: float = -3.0
    """The same of all others: one in twenty lapses."""
    whole_wait: float = 7.0
    """For the whole of the wait, in between by its share. Not below 0."""
    by_its_time: tuple[str, ...] = ("delivered_by_promise",)
    """Expectations of what comes near its due time."""
    whole_promise: float = 1.3
    """For the whole wait of one of these, in between by the third power of its share. Not below 0."""
    full_friction: float = 9.3
    """For a friction score of 100 of the case, below it by the share. Not below 0."""
    has_lapsed: float = 0.3
    """If another wait of the case has lapsed. Not below 0."""
    said_late: float = 4.2
    """If the date that was said last of what comes near its due time lies after it. Not below 0."""

    def __post_init__(self) -> None:
        """Raises: ValueError on terms that would lower a risk that rises."""
        if min(self.whole_wait, self.whole_promise, self.full_friction, self.has_lapsed, self.said_late) < 0:
            message = "risk does not fall with time, friction, waits that lapsed or a later date"
            raise ValueError(message)

    def begin(self, expectations: tuple[Expectation, ...], place: Millis, met: "MetOf") -> Risks:
        """The logit at the start of each wait. `place`: which expectation it is of."""
        base = np.array([self.base.get(each.name, self.base_of_others) for each in expectations])
        friction = self.full_friction * np.clip(met.points, 0.0, MOST) / MOST
        found: Risks = base[place] + friction + self.has_lapsed * met.has_lapsed + self.said_late * met.is_said_late
        return found

    def slope(self, expectations: tuple[Expectation, ...], place: Millis) -> tuple[Risks, Risks]:
        """What the whole of each wait adds to it, and with which power of its share that rises."""
        is_promise = np.array([each.name in self.by_its_time for each in expectations])[place]
        return np.where(is_promise, self.whole_promise, self.whole_wait), np.where(is_promise, 3.0, 1.0)


@dataclass(frozen=True)
class MetOf:
    """What each wait has met."""

    points: Risks
    """Friction of its case."""
    has_lapsed: Mask
    """Whether another wait of its case has."""
    is_said_late: Mask
    """Whether the date that was said last lies after its due time."""


FROM_THE_START = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Waiting:
    """Waits that go on: a logit at the start, what the whole wait adds and with which power of its share, and from when to when it is."""

    begin: Risks
    slope: Risks
    power: Risks
    began_ms: Millis
    due_ms: Millis

    def risk(self, now_ms: Millis) -> Risks:
        """The risk of each wait at a time of its own."""
        span_ms = np.maximum(self.due_ms - self.began_ms, 1)
        gone_ms = np.clip(now_ms, self.began_ms, self.due_ms) - self.began_ms
        return probability(self.begin + self.slope * (gone_ms / span_ms) ** self.power)

    def crosses_ms(self, border: float) -> Millis:
        """After which time the risk of each wait is this or more; NEVER: after none; FROM_THE_START: it always was."""
        logit = np.log(border / (1.0 - border)) if 0.0 < border < 1.0 else (-np.inf if border <= 0.0 else np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(self.begin >= logit, -1.0, ((logit - self.begin) / self.slope) ** (1.0 / self.power))
        is_reached = share <= 1.0  # no nan either, nor a slope of 0
        at_ms = self.began_ms + np.ceil(np.where(is_reached, share, 0.0) * (self.due_ms - self.began_ms)).astype(np.int64)
        return np.where(is_reached, np.where(share < 0, FROM_THE_START, at_ms), NEVER)

    def bands(self, now_ms: Millis, bands: RiskBands) -> tuple[Millis, Millis]:
        """The band of each wait, and the time after which it is another one; NEVER: after none. By times, and not by risks: so no rounding can part the two."""
        number, next_ms = np.zeros(len(now_ms), dtype=np.int64), np.full(len(now_ms), NEVER, dtype=np.int64)
        for band, border in bands.borders():
            at_ms = self.crosses_ms(border)
            is_past = (now_ms > at_ms) | (at_ms == FROM_THE_START)
            number[is_past] = band
            next_ms = np.where(is_past, next_ms, np.minimum(next_ms, at_ms))
        return number, next_ms
