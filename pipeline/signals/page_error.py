"""Page error: the page's script broke, or an interface of the shop said no; and what the customer had done before, if it came at once.

Cases:   an interface without a status -> an error, for somebody reported it as one | a redirect -> quiet
         status 0 -> quiet: browsers say so when a call was broken off because the customer went on
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import Fires, Quiet, Signal, happened, in_range
from pipeline.signal_runs import if_known, telling


@dataclass(frozen=True)
class PageError:
    """Which errors count."""

    lowest_status: int = 400
    """An `api_error` with this HTTP status or a higher one counts; 100 to 599."""
    without_status: bool = True
    """An `api_error` without a status counts."""
    led_within_ms: int = 2_000
    """An element clicked on the same page so shortly before, inclusive, led there, if the error names none; 1 to a minute."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a status that HTTP does not know, or another number out of range."""
        in_range("page_error", self, lowest_status=(100, 599), led_within_ms=(1, 60_000))


def counts(rule: PageError) -> pl.Expr:
    """Every `js_error`, an `api_error` by its status, and clicks on something."""
    failed = (pl.col("status") >= rule.lowest_status).fill_null(value=rule.without_status)
    clicked = (pl.col("event_type") == "click") & pl.col("element").is_not_null()
    return (pl.col("event_type") == "js_error") | ((pl.col("event_type") == "api_error") & failed) | clicked


def fires(events: pl.DataFrame, rule: PageError) -> pl.DataFrame:
    """Every error that counts. Frames: -> FIRES."""
    is_click = pl.col("event_type") == "click"
    status = pl.when(pl.col("event_type") == "api_error").then("status")
    click = {name: pl.when(is_click).then(name).forward_fill() for name in ("visitor", "event_ms", "element")}
    page = pl.when(is_click).then(pl.col("page").fill_null(_NOWHERE)).forward_fill()
    led = (
        (click["visitor"] == pl.col("visitor"))
        & (pl.col("event_ms") - click["event_ms"] <= rule.led_within_ms)
        & (page == pl.col("page").fill_null(_NOWHERE))
    )
    return (
        events.with_row_index("row")
        .with_columns(pl.coalesce("element", pl.when(led).then(click["element"])).alias("element"))
        .filter(~is_click)
        .pipe(
            telling,
            value=status,
            element="element",
            detail=pl.concat_str(
                pl.col("event_type"),
                if_known(" ", status.cast(pl.String)),
                if_known(": ", pl.col("message").str.slice(0, 200)),
            ),
        )
    )


_NOWHERE = "\n"
"""No page is called so."""

PAGE_ERROR = Signal(
    name="page_error",
    version=1,
    meaning="The page's script broke, or an interface of the shop answered with an error.",
    measures="HTTP status, if an interface gave one",
    reads=("js_error", "api_error", "click"),
    columns=("status", "message", "element"),
    told_by={"status": ("api_error",), "message": ("js_error", "api_error")},
    rule=PageError(),
    looks_back=lambda rule: timedelta(milliseconds=rule.led_within_ms),
    counts=counts,
    fires=fires,
    evidence=("page", "message", "status", "element"),
    source=(
        "HTTP calls 400 and above errors (RFC 9110, 15.5 and 15.6); OpenReplay's bad request is the same (networkIssue.go), and looks at what has a status. Two seconds after a click are ours: "
        "within them a page has asked its interfaces, and the click is what people remember."
    ),
    profiles={"openreplay": PageError(lowest_status=400, without_status=False)},
    examples=(
        Fires("a script broke", (happened("js_error", at_ms=0, message="cart is not defined"),)),
        Fires("the server failed", (happened("api_error", at_ms=0, status=502, message="POST /api/cart"),)),
        Fires("nothing was found", (happened("api_error", at_ms=0, status=404),)),
        Fires("the lowest that counts", (happened("api_error", at_ms=0, status=400),)),
        Fires("no status", (happened("api_error", at_ms=0, message="POST /api/cart"),)),
        Fires("each is one signal", (happened("js_error", at_ms=0), happened("js_error", at_ms=0)), at=(0, 1)),
        Fires("after a click", (happened("click", at_ms=0, element="buy"), happened("api_error", at_ms=900, status=502))),
        Fires("long after a click", (happened("click", at_ms=0, element="buy"), happened("js_error", at_ms=2_001))),
        Fires(
            "after a click elsewhere", (happened("click", at_ms=0, element="buy"), happened("js_error", at_ms=900, page="/next"))
        ),
        Quiet("a click", (happened("click", at_ms=0, element="buy"),)),
        Quiet("a redirect", (happened("api_error", at_ms=0, status=302),)),
        Quiet("all went well", (happened("api_error", at_ms=0, status=200),)),
        Quiet("broken off", (happened("api_error", at_ms=0, status=0),)),
        Fires("a bad request", (happened("api_error", at_ms=0, status=400),), profile="openreplay"),
        Quiet("no status told", (happened("api_error", at_ms=0),), profile="openreplay"),
    ),
)
