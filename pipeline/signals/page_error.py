"""Page error: the page's script broke, or an interface of the shop said no.

Cases:   an interface without a status -> an error, for somebody reported it as one | a redirect -> quiet
         status 0 -> quiet: browsers say so when a call was broken off because the customer went on
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import FIRES, Fires, Quiet, Signal, happened


@dataclass(frozen=True)
class PageError:
    """Which errors count."""

    lowest_status: int = 400
    """An `api_error` with this HTTP status or a higher one counts; 100 to 599."""
    without_status: bool = True
    """An `api_error` without a status counts."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a status that HTTP does not know."""
        if not 100 <= self.lowest_status <= 599:
            message = f"page_error: lowest_status must be an HTTP status from 100 to 599, not {self.lowest_status}"
            raise ValueError(message)


def counts(rule: PageError) -> pl.Expr:
    """Every `js_error`, and an `api_error` by its status."""
    failed = (pl.col("status") >= rule.lowest_status).fill_null(value=rule.without_status)
    return (pl.col("event_type") == "js_error") | failed


def fires(errors: pl.DataFrame, _rule: PageError) -> pl.DataFrame:
    """Every error that counts. Frames: -> FIRES."""
    status = pl.when(pl.col("event_type") == "api_error").then("status")
    return (
        errors.with_row_index("row")
        .select(
            "row",
            status.cast(pl.Float64).alias("value"),
            "element",
            pl.concat_str(
                pl.col("event_type"),
                pl.concat_str(pl.lit(" "), status.cast(pl.String)).fill_null(""),
                pl.concat_str(pl.lit(": "), pl.col("message").str.slice(0, 200)).fill_null(""),
            ).alias("detail"),
        )
        .cast(FIRES)
    )


PAGE_ERROR = Signal(
    name="page_error",
    version=1,
    meaning="The page's script broke, or an interface of the shop answered with an error.",
    measures="HTTP status, if an interface gave one",
    reads=("js_error", "api_error"),
    columns=("status", "message", "element"),
    rule=PageError(),
    looks_back=lambda _rule: timedelta(0),
    counts=counts,
    fires=fires,
    evidence=("page", "message", "status", "element"),
    source="HTTP calls 400 and above errors (RFC 9110, 15.5 and 15.6); OpenReplay's bad request is the same (networkIssue.go).",
    examples=(
        Fires("a script broke", (happened("js_error", at_ms=0, message="cart is not defined"),)),
        Fires("the server failed", (happened("api_error", at_ms=0, status=502, message="POST /api/cart"),)),
        Fires("nothing was found", (happened("api_error", at_ms=0, status=404),)),
        Fires("the lowest that counts", (happened("api_error", at_ms=0, status=400),)),
        Fires("no status", (happened("api_error", at_ms=0, message="POST /api/cart"),)),
        Fires("each is one signal", (happened("js_error", at_ms=0), happened("js_error", at_ms=0)), at=(0, 1)),
        Quiet("a redirect", (happened("api_error", at_ms=0, status=302),)),
        Quiet("all went well", (happened("api_error", at_ms=0, status=200),)),
        Quiet("broken off", (happened("api_error", at_ms=0, status=0),)),
    ),
)
