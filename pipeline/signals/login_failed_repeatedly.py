"""Login failed repeatedly: a customer does not get in, again and again.

A chain is failures until a login or a registration; a run is one signal.

Cases:   logged in between -> a new chain
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import completed, if_known, telling


@dataclass(frozen=True)
class LoginFailedRepeatedly:
    """When failures are too many."""

    failures: int = 3
    """Failures that make it so; 2 to 100."""
    within_s: int = 600
    """Longest event time from the first of them to the last, inclusive; 1 s to a day."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("login_failed_repeatedly", self, failures=(2, 100), within_s=(1, 86_400))


def fires(events: pl.DataFrame, rule: LoginFailedRepeatedly) -> pl.DataFrame:
    """The first completing failure of every run. Frames: -> FIRES."""
    is_other = (pl.col("visitor") != pl.col("visitor").shift(1)).fill_null(value=True)
    is_failure = pl.col("event_type") == "login_failed"
    failures = events.with_row_index("row").with_columns((is_other | ~is_failure).cum_sum().alias("chain")).filter(is_failure)
    return completed(failures, rule.failures, rule.within_s * 1_000).pipe(
        telling,
        value="took_ms",
        detail=pl.concat_str(
            pl.format(f"refused {rule.failures} times in {{}} s", pl.col("took_ms") // 1_000),
            if_known(": ", pl.coalesce("reason", "message").str.slice(0, 200)),
        ),
    )


def refused(*, at_s: tuple[float, ...], **said: object) -> tuple[Happening, ...]:
    """Failures for an example."""
    return tuple(happened("login_failed", at_ms=round(at * 1_000), **said) for at in at_s)


LOGIN_FAILED_REPEATEDLY = Signal(
    name="login_failed_repeatedly",
    version=1,
    meaning="A customer does not get into the account, again and again.",
    measures="ms from the first of the failures that make it so to the one at which it fired",
    reads=("login_failed", "login", "sign_up"),
    marks=("login", "sign_up"),
    columns=("reason", "message"),
    told_by={"reason": ("login_failed",), "message": ("login_failed",)},
    rule=LoginFailedRepeatedly(),
    looks_back=lambda rule: timedelta(seconds=2 * rule.within_s),
    fires=fires,
    evidence=("reason", "message", "event_ms"),
    source=(
        "Ours, for no product publishes a number: one failure is a slip, the second the other password that people have; who is refused a third time without getting in "
        "does not know it. Ten minutes, as for the form error loop."
    ),
    examples=(
        Fires("refused three times in a minute", refused(at_s=(0, 20, 60), reason="wrong_password")),
        Fires("in exactly ten minutes", refused(at_s=(0, 300, 600))),
        Fires("a run is one signal", refused(at_s=(0, 20, 60, 90, 120)), at=(2,)),
        Fires(
            "in, and out again, and refused again: two signals",
            (*refused(at_s=(0, 20, 60)), happened("login", at_ms=70_000), *refused(at_s=(100, 120, 140))),
            at=(2, 6),
        ),
        Quiet("refused twice", refused(at_s=(0, 20))),
        Quiet("got in", (*refused(at_s=(0, 20)), happened("login", at_ms=30_000), *refused(at_s=(60,)))),
        Quiet("registered instead", (*refused(at_s=(0, 20)), happened("sign_up", at_ms=30_000), *refused(at_s=(60,)))),
        Quiet("three times in an hour", refused(at_s=(0, 1_800, 3_600))),
    ),
)
