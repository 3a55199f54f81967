"""Error click: the page broke in answer to a click.

Cases:   several errors after one click -> one signal, at the first | its tool reports one that we found as well -> told once | a click on another page
         in between -> quiet. That an error came at all is a page error of its own
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.checkout import is_one_of
from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import if_known, not_told_yet, same_as_before, since_before, telling

_ERRORS = ("js_error", "api_error")


@dataclass(frozen=True)
class ErrorClick:
    """When an error is the answer to a click."""

    within_ms: int = 1_000
    """Longest event time from the click to the error, inclusive; 0 to a minute."""
    lowest_status: int = 400
    """An `api_error` with this HTTP status, a higher one or none counts; 100 to 599."""
    reported_ms: int = 5_000
    """What the emitter's tool reports so soon after the same was found, or the other way round, is told once, inclusive; 1 to a minute."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("error_click", self, within_ms=(0, 60_000), lowest_status=(100, 599), reported_ms=(1, 60_000))


def counts(rule: ErrorClick) -> pl.Expr:
    """Clicks, reports, and the errors that count."""
    return (pl.col("event_type") != "api_error") | (pl.col("status") >= rule.lowest_status).fill_null(value=True)


def fires(events: pl.DataFrame, rule: ErrorClick) -> pl.DataFrame:
    """The first error after a click, and what was reported. Frames: -> FIRES."""
    is_report = pl.col("event_type") == "error_click"
    events = events.with_row_index("row").with_columns(is_report.alias("is_report"))
    answers = (
        same_as_before("page")
        & is_one_of(_ERRORS)
        & (pl.col("event_type").shift(1) == "click")
        & (since_before() <= rule.within_ms)
    )
    found = (
        events.filter(~pl.col("is_report")).with_columns(took_ms=since_before(), clicked=pl.col("element").shift(1)).filter(answers)
    )
    found = found.with_columns(element=pl.col("clicked")).drop("clicked")
    told = events.filter("is_report").with_columns(took_ms=pl.lit(None, dtype=pl.Int64))
    return not_told_yet(pl.concat([found, told]).sort("row"), rule.reported_ms).pipe(
        telling,
        value="took_ms",
        element="element",
        detail=pl.concat_str(
            pl.lit("a click was answered by an error"),
            if_known(": ", pl.col("message").str.slice(0, 200)),
        ),
    )


def click(*, at_ms: int = 0, element: str = "buy", **said: object) -> Happening:
    """A click for an example."""
    return happened("click", at_ms=at_ms, element=element, **said)


def broke(*, at_ms: int, event_type: str = "js_error", **said: object) -> Happening:
    """An error for an example."""
    return happened(event_type, at_ms=at_ms, message="cart is not defined", **said)


ERROR_CLICK = Signal(
    name="error_click",
    version=1,
    meaning="A click is answered by an error of the page or of the shop's interfaces.",
    measures="ms from the click to the error; none of what a tool reported",
    reads=("click", "js_error", "api_error", "error_click"),
    columns=("element", "message"),
    told_by={"element": ("click", "error_click"), "message": ("js_error", "api_error", "error_click")},
    sifts=("status",),
    rule=ErrorClick(),
    looks_back=lambda rule: timedelta(milliseconds=rule.reported_ms + rule.within_ms),
    counts=counts,
    fires=fires,
    evidence=("page", "element", "message", "event_ms"),
    source=(
        "Datadog calls a click with an error that comes while its page is still busy an error click (browser-sdk computeFrustration.ts; on mobile 100 ms longer). How long a "
        "page is busy the contract does not say; ours is a second, as long as people take an answer to be the answer to what they did (Nielsen, Usability Engineering, 1993). "
        "No profile is named after Datadog, for its rule needs the end of an action. Few points, for the error itself is a page error already: these are for having asked in vain."
    ),
    examples=(
        Fires("broke at once", (click(), broke(at_ms=40))),
        Fires("broke after exactly a second", (click(), broke(at_ms=1_000))),
        Fires("the server failed", (click(), broke(at_ms=300, event_type="api_error", status=502))),
        Fires("three errors, one click", (click(), *(broke(at_ms=at) for at in (20, 40, 60))), at=(1,)),
        Fires("two clicks, two errors", (click(), broke(at_ms=40), click(at_ms=500), broke(at_ms=530)), at=(1, 3)),
        Fires("the emitter's tool says so", (happened("error_click", at_ms=0, element="buy"),)),
        Fires("found, and reported as well", (click(), broke(at_ms=40), happened("error_click", at_ms=90, element="buy")), at=(1,)),
        Fires("reported, and found as well", (happened("error_click", at_ms=0, element="buy"), click(), broke(at_ms=40)), at=(0,)),
        Quiet("no click before it", (broke(at_ms=40),)),
        Quiet("long after the click", (click(), broke(at_ms=1_001))),
        Quiet("on the next page", (click(), broke(at_ms=400, page="/next"))),
        Quiet("a redirect", (click(), broke(at_ms=300, event_type="api_error", status=302))),
        Quiet("another visitor's click", (click(visitor_id="bob"), broke(at_ms=40))),
    ),
)
