"""Payment retried: a payment is sent again, for the first did not get through.

An attempt is a payment sent, with those that follow it at once: a button hit twice. A chain is attempts until something was bought.

Cases:   one sent after the purchase -> a chain of its own | a run is one signal
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.checkout import OVER
from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import completed, since_before, telling


@dataclass(frozen=True)
class PaymentRetried:
    """When payments sent are retries."""

    tries: int = 2
    """Attempts that make it so; 2 to 100."""
    within_s: int = 900
    """Longest event time from the first of them to the last, inclusive; 1 s to a day."""
    again_ms: int = 2_000
    """A payment sent so soon after one, inclusive, is the same attempt; 0 to a minute."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("payment_retried", self, tries=(2, 100), within_s=(1, 86_400), again_ms=(0, 60_000))


def fires(events: pl.DataFrame, rule: PaymentRetried) -> pl.DataFrame:
    """The first completing attempt of every run. Frames: -> FIRES."""
    is_other = (pl.col("visitor") != pl.col("visitor").shift(1)).fill_null(value=True)
    is_over = pl.col("event_type") == "purchase"
    at_once = (pl.col("chain") == pl.col("chain").shift(1)) & (since_before() <= rule.again_ms)
    attempts = (
        events.with_row_index("row")
        .with_columns((is_other | is_over).cum_sum().alias("chain"))
        .filter(~is_over)
        .filter(~at_once.fill_null(value=False))
    )
    return completed(attempts, rule.tries, rule.within_s * 1_000).pipe(
        telling, value="took_ms", detail=pl.format(f"sent {rule.tries} times in {{}} s", pl.col("took_ms") // 1_000)
    )


def paid(*, at_s: tuple[float, ...]) -> tuple[Happening, ...]:
    """Payments sent for an example."""
    return tuple(happened("payment_submitted", at_ms=round(at * 1_000)) for at in at_s)


PAYMENT_RETRIED = Signal(
    name="payment_retried",
    version=1,
    meaning="A customer sends a payment again, for the first did not get through.",
    measures="ms from the first of the attempts that make it so to the one at which it fired",
    reads=("payment_submitted", *OVER),
    marks=OVER,
    columns=(),
    rule=PaymentRetried(),
    looks_back=lambda rule: timedelta(seconds=2 * rule.within_s, milliseconds=rule.again_ms),
    fires=fires,
    evidence=("event_type", "event_ms"),
    source=(
        "Ours, for no product publishes a number: the second attempt says that the first did not get through, whether a failure was told or not. Two seconds are a "
        "button hit twice; a quarter of an hour is longer than a bank takes to say no."
    ),
    examples=(
        Fires("sent again", paid(at_s=(0, 60))),
        Fires("a quarter of an hour later", paid(at_s=(0, 900))),
        Fires("again and again: one signal", paid(at_s=(0, 60, 120, 180)), at=(1,)),
        Fires("one slow hand, one retry", paid(at_s=(0, 1, 2, 60)), at=(3,)),
        Quiet("once", paid(at_s=(0,))),
        Quiet("a button hit twice", paid(at_s=(0, 2))),
        Quiet("bought in between", (*paid(at_s=(0,)), happened("purchase", at_ms=5_000), *paid(at_s=(60,)))),
        Quiet("much later", paid(at_s=(0, 901))),
    ),
)
