"""Payment hesitation: at the payment a customer takes far longer than on the pages before.

The pace is the median of what the visitor took, in the foreground, on pages of cart, checkout and login before; it is told when the payment page is left.

Cases:   a tab in the background -> no time in the foreground | left open in front, and nobody there -> longer than `most_s`, quiet
         fewer pages before than `pages` -> no pace, quiet | the payment page seen before -> no part of the pace
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import telling, within_after

_MARKS = ("add_payment_info", "payment_submitted", "payment_failed")
"""Where one of these is done, the payment page is."""


@dataclass(frozen=True)
class PaymentHesitation:
    """When time at the payment is hesitation."""

    times: float = 3.0
    """How many times the visitor's own pace, inclusive; 1 to 100."""
    least_s: int = 45
    """Shorter is no hesitation, whatever the pace; 1 s to an hour."""
    most_s: int = 900
    """Longer is a screen that nobody sits at; 1 s to a day."""
    pages: int = 2
    """Pages before that make a pace; 1 to 100."""
    within_s: int = 1_800
    """How long before they may have been left, inclusive; 1 s to a day."""
    page_types: tuple[str, ...] = ("cart", "checkout", "login", "register")
    """Pages that are compared: people read products at another pace than they fill in forms."""
    steps: tuple[str, ...] = ("payment",)
    """What an emitter calls the step of paying."""
    payment_pages: str = "payment"
    """A page of the checkout with this in its path is the payment page; so is one with such a step, or where a payment was entered, sent or failed."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        ranges = {"times": (1, 100), "least_s": (1, 3_600), "most_s": (1, 86_400), "pages": (1, 100), "within_s": (1, 86_400)}
        in_range("payment_hesitation", self, **ranges)
        if not self.payment_pages:
            raise ValueError("signal payment_hesitation: payment_pages must say something; every page has nothing in its path")


def counts(rule: PaymentHesitation) -> pl.Expr:
    """Payments, and pages of these types that were looked at."""
    is_read = pl.col("page_type").is_in(list(rule.page_types)).fill_null(value=False) & (pl.col("engaged_ms") > 0).fill_null(
        value=False
    )
    return (pl.col("event_type") != "page_leave") | is_read


def fires(events: pl.DataFrame, rule: PaymentHesitation) -> pl.DataFrame:
    """Every payment page left after far too long. Frames: -> FIRES."""
    within_ms = rule.within_s * 1_000
    is_leave = pl.col("event_type") == "page_leave"
    leaves = (
        events.with_row_index("row")
        .sort("visitor", "page", maintain_order=True)
        .with_columns(paid=_paid_here(within_ms))
        .filter(is_leave)
        .with_columns(
            at_payment=(
                pl.col("step").is_in(list(rule.steps)).fill_null(value=False)
                | pl.col("page").str.contains(rule.payment_pages, literal=True).fill_null(value=False)
                | pl.col("paid")
            )
        )
        .sort("row")
    )
    long = leaves.filter("at_payment", pl.col("engaged_ms").is_between(rule.least_s * 1_000, rule.most_s * 1_000))
    before = leaves.filter(~pl.col("at_payment")).select("visitor", before_row="row", before_ms="event_ms", took_ms="engaged_ms")
    paces = (
        long.select("row", "visitor", "event_ms")
        .join(before, on="visitor")
        .filter((pl.col("before_row") < pl.col("row")) & (pl.col("event_ms") - pl.col("before_ms") <= within_ms))
        .group_by("row")
        .agg(pl.col("took_ms").median().alias("pace_ms"), pl.len().alias("n"))
        .filter(pl.col("n") >= rule.pages)
    )
    return (
        long.join(paces, on="row")
        .filter(pl.col("engaged_ms") >= rule.times * pl.col("pace_ms"))
        .sort("row")
        .pipe(
            telling,
            value="engaged_ms",
            detail=pl.format(
                "{} s at the payment, {} s a page before",
                pl.col("engaged_ms") // 1_000,
                (pl.col("pace_ms") / 1_000).floor().cast(pl.Int64),
            ),
        )
    )


def _paid_here(within_ms: int) -> pl.Expr:
    """Whether something was paid on this page within this time before; rows in order of (visitor, page)."""
    is_mark = pl.col("event_type") != "page_leave"
    last_page = pl.when(is_mark).then(pl.col("page").fill_null(_NOWHERE)).forward_fill()
    # Both look at the same row, the last payment.
    return within_after(is_mark, pl.lit(value=False), within_ms) & (last_page == pl.col("page")).fill_null(value=False)


_NOWHERE = "\n"
"""No page is called so."""


def left(
    engaged_s: float | None, *, at_s: float, page: str | None = "/checkout", page_type: str | None = "checkout", **said: object
) -> Happening:
    """A page left for an example."""
    engaged_ms = None if engaged_s is None else round(engaged_s * 1_000)
    return happened("page_leave", at_ms=round(at_s * 1_000), page=page, page_type=page_type, engaged_ms=engaged_ms, **said)


_CART, _SHIPPING = left(8, at_s=10, page="/cart", page_type="cart"), left(20, at_s=40, page="/checkout/2")

PAYMENT_HESITATION = Signal(
    name="payment_hesitation",
    version=1,
    meaning="At the payment a customer takes far longer than on the pages before.",
    measures="ms in the foreground at the payment",
    reads=("page_leave", *_MARKS),
    columns=("engaged_ms", "step"),
    told_by={"engaged_ms": ("page_leave",), "step": ("page_leave",)},
    sifts=("page_type",),
    rule=PaymentHesitation(),
    # The pace of pages, each of which is a payment page or not by what was done on it before.
    looks_back=lambda rule: timedelta(seconds=2 * rule.within_s),
    counts=counts,
    fires=fires,
    evidence=("page", "step", "engaged_ms", "event_ms"),
    source=(
        "Ours, for no product publishes a number: people differ in pace by more than hesitation makes out, so each is measured against the own one. Three times is beyond what a card to be found "
        "takes; below 45 s nobody hesitates, and beyond a quarter of an hour nobody sits there. Time in the background does not count, by the contract."
    ),
    examples=(
        Fires("a minute and a half", (_CART, _SHIPPING, left(90, at_s=140, page="/checkout/payment"))),
        Fires("exactly three times, exactly 45 s", (_SHIPPING, left(10, at_s=60), left(45, at_s=140, page="/checkout/payment"))),
        Fires("the step says where", (_CART, _SHIPPING, left(90, at_s=140, step="payment"))),
        Fires(
            "the payment says where",
            (_CART, _SHIPPING, happened("add_payment_info", at_ms=50_000, page="/c"), left(90, at_s=140, page="/c")),
        ),
        Quiet(
            "as on the pages before", (_CART, left(60, at_s=70), left(50, at_s=75), left(90, at_s=140, page="/checkout/payment"))
        ),
        Quiet("quick", (left(1, at_s=1), left(2, at_s=5), left(44, at_s=60, page="/checkout/payment"))),
        Quiet("an idle tab", (_CART, _SHIPPING, left(3, at_s=4_000, page="/checkout/payment"))),
        Quiet("nobody there", (_CART, _SHIPPING, left(901, at_s=1_000, page="/checkout/payment"))),
        Quiet("no pace yet", (_CART, left(90, at_s=140, page="/checkout/payment"))),
        Quiet("pages of another day", (_CART, _SHIPPING, left(90, at_s=1_841, page="/checkout/payment"))),
        Quiet("a long read elsewhere", (_CART, _SHIPPING, left(200, at_s=300, page="/p/1", page_type="product"))),
        Quiet("nobody knows how long", (_CART, _SHIPPING, left(None, at_s=140, page="/checkout/payment"))),
    ),
)
