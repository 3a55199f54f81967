"""Price surprise: late in the checkout it costs more than the cart said.

The cart's total is that of the last event up to the beginning of the checkout that has one.

Cases:   another currency than the cart's -> not compared | told again and again -> one signal a total of the cart | a total that falls -> quiet
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.checkout import is_one_of
from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import telling

_CART = ("add_to_cart", "remove_from_cart", "view_cart", "begin_checkout")
_LATE = ("add_shipping_info", "add_payment_info", "payment_submitted", "price_changed")


@dataclass(frozen=True)
class PriceSurprise:
    """By how much a total must have grown. Both must be so."""

    least_share: float = 0.05
    """Growth against the cart's total, inclusive; 0 to 100."""
    least_minor: int = 20
    """Growth in minor units of the currency, inclusive; 1 to a billion."""
    within_s: int = 3_600
    """How old the cart's total may be, inclusive; 1 s to a day."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("price_surprise", self, least_share=(0, 100), least_minor=(1, 1_000_000_000), within_s=(1, 86_400))


def counts(_rule: PriceSurprise) -> pl.Expr:
    """Events that tell a total."""
    return pl.col("amount_minor").is_not_null()


def fires(events: pl.DataFrame, rule: PriceSurprise) -> pl.DataFrame:
    """The first event after each total of the cart at which it has grown. Frames: -> FIRES."""
    is_cart = is_one_of(_CART)
    cart = {
        name: pl.when(is_cart).then(name).forward_fill().alias(f"cart_{name}") for name in ("visitor", "event_ms", "amount_minor")
    }
    # A total without a currency is of one without: the two nulls are the same.
    currency = pl.when(is_cart).then(pl.col("currency").fill_null("")).forward_fill()
    grown = pl.col("amount_minor") - pl.col("cart_amount_minor")
    is_surprise = (
        (pl.col("cart_visitor") == pl.col("visitor"))
        & (pl.col("event_ms") - pl.col("cart_event_ms") <= rule.within_s * 1_000)
        & (pl.col("cart_currency") == pl.col("currency").fill_null(""))
        & (grown >= rule.least_minor)
        & (grown >= rule.least_share * pl.col("cart_amount_minor"))
    )
    return (
        events.with_row_index("row")
        .with_columns(*cart.values(), currency.alias("cart_currency"), is_cart.cum_sum().alias("cart"))
        .filter(~is_cart)
        .filter(is_surprise)
        .unique(["visitor", "cart"], keep="first", maintain_order=True)
        .pipe(
            telling,
            value=grown,
            detail=pl.concat_str(
                pl.format("{} more than the {} of the cart", grown, "cart_amount_minor"),
                pl.concat_str(pl.lit(", minor units of "), "currency").fill_null(", minor units"),
            ),
        )
    )


def priced(event_type: str, amount_minor: int | None, *, at_s: float, currency: str | None = "EUR") -> Happening:
    """An event that tells a total, for an example."""
    return happened(event_type, at_ms=round(at_s * 1_000), amount_minor=amount_minor, currency=currency)


PRICE_SURPRISE = Signal(
    name="price_surprise",
    version=1,
    meaning="Late in the checkout it costs more than the cart said.",
    measures="growth of the total, in minor units of its currency",
    reads=(*_CART, *_LATE),
    columns=("amount_minor", "currency"),
    rule=PriceSurprise(),
    looks_back=lambda rule: timedelta(seconds=rule.within_s),
    counts=counts,
    fires=fires,
    evidence=("event_type", "amount_minor", "currency", "event_ms"),
    source=(
        "Ours, for no product publishes a number. Extra costs are the reason named most for leaving a cart (40 % of reasons less just browsing, Baymard 2025, read second-hand): "
        "delivery, fees and taxes that the cart did not say. Five per cent, and twenty of the smallest unit of money, are more than rounding."
    ),
    examples=(
        Fires("delivery comes on top", (priced("view_cart", 4_900, at_s=0), priced("add_shipping_info", 5_490, at_s=90))),
        Fires(
            "by exactly five per cent", (priced("begin_checkout", 10_000, at_s=0), priced("add_payment_info", 10_500, at_s=3_600))
        ),
        Fires(
            "told again: one signal",
            (priced("view_cart", 4_900, at_s=0), *(priced("add_payment_info", 5_490, at_s=90 + nth) for nth in range(3))),
            at=(1,),
        ),
        Fires("the shop changed the price", (priced("begin_checkout", 4_900, at_s=0), priced("price_changed", 6_900, at_s=60))),
        Fires("a cart of nothing", (priced("begin_checkout", 0, at_s=0), priced("add_shipping_info", 500, at_s=60))),
        Fires(
            "no currency",
            (priced("view_cart", 4_900, at_s=0, currency=None), priced("add_shipping_info", 5_490, at_s=9, currency=None)),
        ),
        Quiet("the same", (priced("view_cart", 4_900, at_s=0), priced("add_shipping_info", 4_900, at_s=90))),
        Quiet("less", (priced("view_cart", 4_900, at_s=0), priced("add_shipping_info", 4_400, at_s=90))),
        Quiet("rounding", (priced("view_cart", 300, at_s=0), priced("add_shipping_info", 319, at_s=90))),
        Quiet("a few per cent", (priced("view_cart", 100_000, at_s=0), priced("add_shipping_info", 100_500, at_s=90))),
        Quiet(
            "another currency", (priced("view_cart", 4_900, at_s=0), priced("add_shipping_info", 5_490, at_s=90, currency="USD"))
        ),
        Quiet("more in the cart", (priced("add_to_cart", 4_900, at_s=0), priced("add_to_cart", 9_800, at_s=90))),
        Quiet("yesterday's cart", (priced("view_cart", 4_900, at_s=0), priced("add_shipping_info", 5_490, at_s=3_601))),
        Quiet("no cart", (priced("add_shipping_info", 5_490, at_s=0),)),
    ),
)
