"""Signals as users write them, with examples and loops of their own: they keep the promises of every signal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from pipeline.definitions import CUSTOM, AnySignal, Fires, Happening, Own, Quiet, happened
from pipeline.own_signals import OwnRule, own_signal
from tests.signal_loops.rows import Row, Told, completed


def looked(*at_s: float) -> tuple[Happening, ...]:
    """A product looked at: to signals that ship, nothing but a mark."""
    return tuple(happened("view_item", at_ms=round(at * 1_000), page="/product/1") for at in at_s)


def clicked(element: str | None, *at_s: float) -> tuple[Happening, ...]:
    """Clicks."""
    return tuple(happened("click", at_ms=round(at * 1_000), element=element) for at in at_s)


def tried(*amounts: int | None) -> tuple[Happening, ...]:
    """Coupons on carts of some value, one every 10 s."""
    return tuple(
        happened("coupon_rejected", at_ms=10_000 * nth, coupon="SPRING", amount_minor=amount) for nth, amount in enumerate(amounts)
    )


def _own(place: int, name: str, rule: OwnRule, *examples: Fires | Quiet) -> AnySignal:
    signal = own_signal(name, rule, Own(place, weight=12.0), "Something that only this shop minds.")
    return replace(signal, examples=tuple(replace(example, profile=CUSTOM) for example in examples))


LARGE_COUPON = _own(
    24,
    "large_coupon",
    OwnRule(("coupon_rejected",), "amount_minor > 10000 AND coupon IS NOT NULL"),
    Fires("a large cart", tried(20_000)),
    Fires("each is one", tried(20_000, 5, None, 10_001), at=(0, 3)),
    Quiet("a small one, and one that nobody knows", tried(10_000, None)),
)
COUPON_HUNT = _own(
    25,
    "coupon_hunt",
    OwnRule(("coupon_rejected", "coupon_applied"), "amount_minor > 10000", count=3, within_s=30),
    Fires("three", tried(20_000, 20_000, 20_000)),
    Fires("in exactly 30 s, of four", tried(20_000, 20_000, 5, 20_000)),
    Fires("a run is one", tried(*[20_000] * 8), at=(2,)),
    Quiet("the third too late", tried(20_000, 20_000, None, None, 20_000)),
    Quiet("two", tried(20_000, 20_000)),
)
TO_AND_FRO = _own(
    31,
    "to_and_fro",
    OwnRule(("view_item",), count=4, within_s=60),
    Fires("four looks", looked(0, 20, 40, 60)),
    Fires("twice", (*looked(0, 1, 2, 3), *looked(200, 201, 202, 203)), at=(3, 7)),
    Quiet("three", looked(0, 20, 40)),
)
BUY_AGAIN = _own(
    28,
    "buy_again",
    OwnRule(("click",), "element IN ('buy', 'pay') AND page LIKE '/cart%'", count=2, within_s=5),
    Fires("two", clicked("buy", 0, 5)),
    Quiet("elsewhere", clicked("menu", 0, 1, 2)),
    Quiet("nobody knows where", clicked(None, 0, 1)),
)

OWN = (LARGE_COUPON, COUPON_HUNT, TO_AND_FRO, BUY_AGAIN)

FULFILS: dict[str, Callable[[Row], bool]] = {
    "large_coupon": lambda event: (event.get("amount_minor") or 0) > 10_000 and event.get("coupon") is not None,
    "coupon_hunt": lambda event: (event.get("amount_minor") or 0) > 10_000,
    "to_and_fro": lambda _event: True,
    "buy_again": lambda event: event.get("element") in ("buy", "pay") and (event.get("page") or "").startswith("/cart"),
}
"""The conditions again, in Python."""


def _loop(fulfils: Callable[[Row], bool], events: Sequence[Row], rule: OwnRule) -> Iterator[Told]:
    counted = [event for event in events if fulfils(event)]
    if rule.within_s is None:
        for event in counted:
            yield Told(event, None, event.get("element"), rule.where)
    else:
        for event, took_ms in completed([counted], rule.count, rule.within_s * 1_000):
            yield Told(event, float(took_ms), event.get("element"), f"{rule.count} times in {took_ms // 1_000} s: {rule.where}")


OWN_LOOPS = {name: partial(_loop, fulfils) for name, fulfils in FULFILS.items()}
