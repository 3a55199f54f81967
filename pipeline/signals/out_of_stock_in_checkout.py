"""Out of stock in checkout: what somebody is about to buy is gone.

Cases:   in the checkout: by what the event says of its place, or by what the visitor did before | after the purchase -> quiet
         the same product again -> one signal, until some time has passed
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.checkout import MARKS, OVER, STEPS, in_checkout
from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import first_of_runs, telling


@dataclass(frozen=True)
class OutOfStockInCheckout:
    """When what is out of stock is out of stock in the checkout."""

    within_s: int = 1_800
    """How long after something done in the checkout the visitor is still there, inclusive; 1 s to a day."""
    again_s: int = 300
    """The same product so soon after, inclusive, is the same disappointment; 0 to a day."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("out_of_stock_in_checkout", self, within_s=(1, 86_400), again_s=(0, 86_400))


def fires(events: pl.DataFrame, rule: OutOfStockInCheckout) -> pl.DataFrame:
    """The first of every run of one product. Frames: -> FIRES."""
    is_there = (pl.col("page_type") == "checkout") | pl.col("step").is_in(STEPS)
    here = (
        events.with_row_index("row")
        .with_columns(in_checkout(rule.within_s).alias("came"))
        .filter((pl.col("event_type") == "out_of_stock") & (is_there.fill_null(value=False) | pl.col("came")))
    )
    return first_of_runs(here, ("product_id",), rule.again_s * 1_000).pipe(
        telling, element="product_id", detail=pl.lit("out of stock in the checkout")
    )


def gone(product_id: str | None = "shoe-1", *, at_s: float, **said: object) -> Happening:
    """A product that is out of stock, for an example."""
    return happened("out_of_stock", at_ms=round(at_s * 1_000), product_id=product_id, **said)


_BEGUN = happened("begin_checkout", at_ms=0)

OUT_OF_STOCK_IN_CHECKOUT = Signal(
    name="out_of_stock_in_checkout",
    version=1,
    meaning="What a customer is about to buy turns out to be out of stock.",
    measures="nothing: a product is there or not",
    reads=("out_of_stock", *MARKS, *OVER),
    marks=(*MARKS, *OVER),
    columns=("product_id", "page_type", "step"),
    told_by={"product_id": ("out_of_stock",), "page_type": ("out_of_stock",), "step": ("out_of_stock",)},
    rule=OutOfStockInCheckout(),
    # A checkout begun before the first of a run says whether that one was in it.
    looks_back=lambda rule: timedelta(seconds=rule.within_s + rule.again_s),
    fires=fires,
    evidence=("product_id", "page_type", "step", "event_ms"),
    source=(
        "Ours, for no product publishes a number: what the shop itself says needs no threshold, only when somebody is in the checkout. Half an hour is the session of most products "
        "(PostHog, Mixpanel, Amplitude, Snowplow, Matomo); on a product page it is everyday, and no signal."
    ),
    examples=(
        Fires("after the checkout began", (_BEGUN, gone(at_s=60))),
        Fires("half an hour later", (_BEGUN, gone(at_s=1_800))),
        Fires("the page says where", (gone(at_s=0, page_type="checkout"),)),
        Fires("the step says where", (gone(at_s=0, step="payment"),)),
        Fires("told again", (_BEGUN, gone(at_s=60), gone(at_s=90)), at=(1,)),
        Fires("two products", (_BEGUN, gone(at_s=60), gone("hat-1", at_s=61)), at=(1, 2)),
        Quiet("on a product page", (gone(at_s=0, page_type="product"),)),
        Quiet("after the purchase", (_BEGUN, happened("purchase", at_ms=30_000), gone(at_s=60))),
        Quiet("long after", (_BEGUN, gone(at_s=1_801))),
    ),
)
