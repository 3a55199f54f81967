"""Step ping-pong: back and forth between two steps of a checkout, a request for a quote, an approval, an onboarding.

A step is what the emitter calls it, else the page.

Cases:   several events of one step -> one stay | an event that has neither step nor page -> not judged
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import back_and_forth, telling


@dataclass(frozen=True)
class StepPingPong:
    """When visits of two steps are back and forth."""

    stays: int = 5
    """Stays at the two steps, by turns, that make it so; 3 to 100."""
    within_s: int = 600
    """Longest event time from when the first of them is left to when the last begins, inclusive; 1 s to a day."""
    page_types: tuple[str, ...] = ("cart", "checkout", "rfq", "approval", "onboarding")
    """Pages that are steps of something."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("step_ping_pong", self, stays=(3, 100), within_s=(1, 86_400))


def counts(rule: StepPingPong) -> pl.Expr:
    """Views of pages that are steps, and steps themselves, as far as they have a name."""
    is_step = (pl.col("event_type") != "page_view") | pl.col("page_type").is_in(list(rule.page_types)).fill_null(value=False)
    return is_step & (pl.col("step").is_not_null() | pl.col("page").is_not_null())


def fires(events: pl.DataFrame, rule: StepPingPong) -> pl.DataFrame:
    """The first completing stay of every run. Frames: -> FIRES."""
    return back_and_forth(
        events.with_row_index("row").with_columns(pl.coalesce("step", "page").alias("place")),
        "place",
        rule.stays,
        rule.within_s * 1_000,
    ).pipe(
        telling,
        value="took_ms",
        element="place",
        detail=pl.format(f"{rule.stays} times by turns at {{}} and {{}} in {{}} s", "place", "other", pl.col("took_ms") // 1_000),
    )


def stays(
    *steps: str | None, every_s: float, event_type: str = "page_view", page_type: str | None = "checkout"
) -> tuple[Happening, ...]:
    """Steps visited one after the other for an example."""
    return tuple(
        happened(event_type, at_ms=round(nth * every_s * 1_000), step=step, page_type=page_type) for nth, step in enumerate(steps)
    )


STEP_PING_PONG = Signal(
    name="step_ping_pong",
    version=1,
    meaning="A customer goes back and forth between two steps without getting on.",
    measures="ms from leaving the first of the stays that make it so to the last",
    reads=("page_view", "rfq_step", "approval_step", "onboarding_step"),
    columns=("step",),
    sifts=("page_type",),
    rule=StepPingPong(),
    looks_back=lambda rule: timedelta(seconds=2 * rule.within_s),
    counts=counts,
    fires=fires,
    evidence=("page", "step", "event_ms"),
    source=(
        "Ours, for no product publishes a number. Going back once to mend an address is everyday, and a second time happens; whoever comes to the same step for the third "
        "time by turns is sent back and forth by the shop. Ten minutes are longer than a checkout takes that goes well. Browsing is left out: to a list and back to a product is how people shop."
    ),
    examples=(
        Fires("shipping and payment by turns", stays("shipping", "payment", "shipping", "payment", "shipping", every_s=60)),
        Fires("in exactly ten minutes", stays("shipping", "payment", "shipping", "payment", "shipping", every_s=150)),
        Fires("a run is one signal, however long", stays(*"spspspsp", every_s=30), at=(4,)),
        Fires("two events a step", stays(*"sspppssppss", every_s=20), at=(9,)),
        Fires(
            "pages where no step is named",
            tuple(
                happened("page_view", at_ms=nth * 9_000, page=page, page_type="checkout")
                for nth, page in enumerate(("/checkout/2", "/checkout/3", "/checkout/2", "/checkout/3", "/checkout/2"))
            ),
        ),
        Fires(
            "a request for a quote",
            stays("items", "terms", "items", "terms", "items", every_s=60, event_type="rfq_step", page_type=None),
        ),
        Quiet("one address mended", stays("shipping", "payment", "shipping", "payment", every_s=60)),
        Quiet("straight on", stays("cart", "checkout", "shipping", "payment", every_s=60)),
        Quiet("by turns for an hour", stays("shipping", "payment", "shipping", "payment", "shipping", every_s=800)),
        Quiet(
            "a list and its products", stays("browse", "product", "browse", "product", "browse", every_s=10, page_type="listing")
        ),
        Quiet(
            "neither step nor page",
            tuple(happened("onboarding_step", at_ms=nth * 9_000, page=None, step=None) for nth in range(5)),
        ),
    ),
)
