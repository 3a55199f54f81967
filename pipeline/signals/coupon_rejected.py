"""Coupon rejected: the shop does not take what it once gave.

Cases:   the same coupon entered again -> one signal, until it is left alone for a while | another coupon -> another signal
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import first_of_runs, if_known, telling


@dataclass(frozen=True)
class CouponRejected:
    """When a rejected coupon is one more."""

    again_s: int = 60
    """The same coupon so soon after it was rejected, inclusive, is the same attempt; 1 s to an hour."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("coupon_rejected", self, again_s=(1, 3_600))


def fires(rejections: pl.DataFrame, rule: CouponRejected) -> pl.DataFrame:
    """The first of every run with one coupon. Frames: -> FIRES."""
    reason = if_known(": ", pl.coalesce("reason", "message").str.slice(0, 200))
    return first_of_runs(rejections.with_row_index("row"), ("coupon",), rule.again_s * 1_000).pipe(
        telling, element="coupon", detail=pl.concat_str(pl.lit("not taken"), reason)
    )


def entered(coupon: str | None, *, at_s: float = 0, **said: object) -> Happening:
    """A rejection for an example."""
    return happened("coupon_rejected", at_ms=round(at_s * 1_000), coupon=coupon, **said)


COUPON_REJECTED = Signal(
    name="coupon_rejected",
    version=1,
    meaning="A coupon that a customer entered is not taken.",
    measures="nothing: a coupon is taken or not",
    reads=("coupon_rejected",),
    columns=("coupon", "reason", "message"),
    rule=CouponRejected(),
    looks_back=lambda rule: timedelta(seconds=rule.again_s),
    fires=fires,
    evidence=("coupon", "reason", "message", "event_ms"),
    source=(
        "Ours, for no product publishes a number: what the shop itself calls a rejection needs no threshold (Segment's `Coupon Denied` is the same). Typing it again within a minute is the same "
        "disappointment, another coupon is another one."
    ),
    examples=(
        Fires("not taken", (entered("SPRING", reason="expired"),)),
        Fires("entered again at once", (entered("SPRING"), entered("SPRING", at_s=20), entered("SPRING", at_s=80)), at=(0,)),
        Fires("entered again later", (entered("SPRING"), entered("SPRING", at_s=61)), at=(0, 1)),
        Fires("another one", (entered("SPRING"), entered("TEN", at_s=20)), at=(0, 1)),
        Fires("nobody knows which", (entered(None),)),
        Quiet("taken", (happened("coupon_applied", at_ms=0, coupon="SPRING"),)),
    ),
)
