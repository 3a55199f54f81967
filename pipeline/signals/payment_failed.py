"""Payment failed: it was declined, or did not get through.

Cases:   page and server report one failure at once -> one signal | no reason -> a failure all the same
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import first_of_runs, if_known, telling


@dataclass(frozen=True)
class PaymentFailed:
    """When a failure is one."""

    again_ms: int = 2_000
    """A failure so soon after one, inclusive, is the same, told by somebody else; 1 to a minute."""
    ignored_reasons: tuple[str, ...] = ()
    """What an emitter calls a payment that the customer broke off."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("payment_failed", self, again_ms=(1, 60_000))


def counts(rule: PaymentFailed) -> pl.Expr:
    """Failures for other reasons than those."""
    return ~pl.col("reason").is_in(list(rule.ignored_reasons)).fill_null(value=False)


def fires(failures: pl.DataFrame, rule: PaymentFailed) -> pl.DataFrame:
    """The first of those told at once. Frames: -> FIRES."""
    return first_of_runs(failures.with_row_index("row"), (), rule.again_ms).pipe(
        telling,
        detail=pl.concat_str(
            pl.lit("payment failed"),
            if_known(": ", pl.coalesce("reason", "message").str.slice(0, 200)),
        ),
    )


def declined(*, at_ms: int = 0, **said: object) -> Happening:
    """A failure for an example."""
    return happened("payment_failed", at_ms=at_ms, **said)


PAYMENT_FAILED = Signal(
    name="payment_failed",
    version=1,
    meaning="A payment is declined, or does not get through.",
    measures="nothing: a payment gets through or not",
    reads=("payment_failed",),
    columns=("reason", "message"),
    rule=PaymentFailed(),
    looks_back=lambda rule: timedelta(milliseconds=rule.again_ms),
    counts=counts,
    fires=fires,
    evidence=("reason", "message", "event_ms"),
    source=(
        "Ours, for no product publishes a number: each failure is one (Snowplow's `trns_error` is the same). Nobody enters a card again within two seconds; what comes so soon "
        "is the page and the server telling of one."
    ),
    examples=(
        Fires("declined", (declined(reason="card_declined"),)),
        Fires("no reason", (declined(),)),
        Fires("told twice", (declined(reason="timeout"), declined(at_ms=2_000, reason="timeout")), at=(0,)),
        Fires("failed again", (declined(), declined(at_ms=2_001)), at=(0, 1)),
        Quiet("sent", (happened("payment_submitted", at_ms=0),)),
    ),
)
