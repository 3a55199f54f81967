"""Help in checkout: somebody who was about to buy reads help or a policy first.

Cases:   page after page of it -> one signal | before the checkout, or after the purchase -> quiet
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.checkout import MARKS, OVER, in_checkout
from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import first_of_runs, if_known, telling


@dataclass(frozen=True)
class HelpInCheckout:
    """When reading is help in the checkout."""

    within_s: int = 1_800
    """How long after something done in the checkout the visitor is still there, inclusive; 1 s to a day."""
    again_s: int = 300
    """Help so soon after help, inclusive, is the same question; 0 to a day."""
    page_types: tuple[str, ...] = ("help", "policy")
    """Pages that answer questions."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("help_in_checkout", self, within_s=(1, 86_400), again_s=(0, 86_400))


def counts(rule: HelpInCheckout) -> pl.Expr:
    """What is done in the checkout, help, and pages of it."""
    return (pl.col("event_type") != "page_view") | pl.col("page_type").is_in(list(rule.page_types)).fill_null(value=False)


def fires(events: pl.DataFrame, rule: HelpInCheckout) -> pl.DataFrame:
    """The first of every run. Frames: -> FIRES."""
    reads = (pl.col("event_type") == "page_view") | (pl.col("event_type") == "help_view")
    reading = events.with_row_index("row").with_columns(in_checkout(rule.within_s).alias("came")).filter(reads & pl.col("came"))
    return first_of_runs(reading, (), rule.again_s * 1_000).pipe(
        telling, detail=pl.concat_str(pl.lit("help read in the checkout"), if_known(": ", "page"))
    )


def read(*, at_s: float, event_type: str = "help_view", page_type: str | None = None, **said: object) -> Happening:
    """Help read for an example."""
    return happened(event_type, at_ms=round(at_s * 1_000), page_type=page_type, **said)


_BEGUN = happened("begin_checkout", at_ms=0)

HELP_IN_CHECKOUT = Signal(
    name="help_in_checkout",
    version=1,
    meaning="Somebody who was about to buy has a question that the checkout does not answer.",
    measures="nothing: help is read or not",
    reads=("help_view", "page_view", *MARKS, *OVER),
    marks=(*MARKS, *OVER),
    columns=(),
    at_furthest=True,
    sifts=("page_type",),
    rule=HelpInCheckout(),
    looks_back=lambda rule: timedelta(seconds=rule.within_s + rule.again_s),
    counts=counts,
    fires=fires,
    evidence=("page", "event_ms"),
    source=(
        "Ours, for no product publishes a number. Help is no friction in itself; whoever leaves the checkout for it has a question about delivery, returns or money that stands in "
        "the way. Half an hour is the session of most products; five minutes are one question. Few points, for many find the answer and buy."
    ),
    examples=(
        Fires("help", (_BEGUN, read(at_s=30))),
        Fires("the page on returns", (_BEGUN, read(at_s=30, event_type="page_view", page_type="policy", page="/returns"))),
        Fires(
            "told as a page and as help: one signal",
            (_BEGUN, read(at_s=30, event_type="page_view", page_type="help"), read(at_s=30.2), read(at_s=200)),
            at=(1,),
        ),
        Fires("another question later", (_BEGUN, read(at_s=30), read(at_s=331)), at=(1, 2)),
        Fires("half an hour later", (_BEGUN, read(at_s=1_800))),
        Quiet("before the checkout", (read(at_s=0), happened("begin_checkout", at_ms=5_000))),
        Quiet("after the purchase", (_BEGUN, happened("purchase", at_ms=30_000), read(at_s=60))),
        Quiet("another page", (_BEGUN, read(at_s=30, event_type="page_view", page_type="checkout"))),
        Quiet("long after", (_BEGUN, read(at_s=1_801))),
    ),
)
