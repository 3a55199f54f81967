"""Page thrashing: back and forth between two pages, faster than either can be read.

Cases:   a page loaded again -> the same stay | a page without a path -> not judged | cart, checkout and forms of several steps -> `step_ping_pong`
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import back_and_forth, telling


@dataclass(frozen=True)
class PageThrashing:
    """When views of two pages are thrashing."""

    views: int = 5
    """Stays at the two pages, by turns, that make it thrashing; 3 to 100."""
    within_s: int = 30
    """Longest event time from when the first of them is left to when the last begins, inclusive; 1 s to an hour."""
    ignored_page_types: tuple[str, ...] = ("cart", "checkout", "rfq", "approval", "onboarding")
    """Pages that are steps of something; a page of no known type counts."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("page_thrashing", self, views=(3, 100), within_s=(1, 3_600))


def counts(rule: PageThrashing) -> pl.Expr:
    """Views of pages that have a path and are no step."""
    kind = pl.col("page_type")
    counted = pl.col("page").is_not_null()
    return counted & (kind.is_null() | ~kind.is_in(list(rule.ignored_page_types))) if rule.ignored_page_types else counted


def fires(views: pl.DataFrame, rule: PageThrashing) -> pl.DataFrame:
    """The first completing view of every run. Frames: -> FIRES."""
    return back_and_forth(views.with_row_index("row"), "page", rule.views, rule.within_s * 1_000).pipe(
        telling,
        value="took_ms",
        element="other",
        detail=pl.format(f"{rule.views} times by turns here and at {{}} in {{}} s", "other", pl.col("took_ms") // 1_000),
    )


def viewed(*pages: str | None, every_s: float, **said: object) -> tuple[Happening, ...]:
    """Pages viewed one after the other for an example."""
    return tuple(happened("page_view", at_ms=round(nth * every_s * 1_000), page=page, **said) for nth, page in enumerate(pages))


PAGE_THRASHING = Signal(
    name="page_thrashing",
    version=1,
    meaning="A visitor goes back and forth between two pages, faster than either can be read.",
    measures="ms from leaving the first of the stays that make it thrashing to the last",
    reads=("page_view",),
    columns=(),
    sifts=("page_type",),
    rule=PageThrashing(),
    looks_back=lambda rule: timedelta(seconds=2 * rule.within_s),
    counts=counts,
    fires=fires,
    evidence=("page", "event_ms"),
    source=(
        "Ours, for no product publishes a number: Clarity's quick back and Contentsquare's looping are words only, and Amplitude's thrashed cursor is about the mouse. A B A B A: "
        "one return is everyday, the second is comparing; who comes back to the first page for the second time within half a minute reads neither, and looks for "
        "what is on none of them."
    ),
    examples=(
        Fires("back and forth within half a minute", viewed("/a", "/b", "/a", "/b", "/a", every_s=5)),
        Fires("in exactly half a minute", viewed("/a", "/b", "/a", "/b", "/a", every_s=7.5)),
        Fires("a run is one signal, however long", viewed(*"abababab", every_s=3), at=(4,)),
        Fires("loaded again in between", viewed("/a", "/b", "/b", "/a", "/b", "/a", every_s=4)),
        Fires("a long look at the first page", (*viewed("/a", every_s=0), *viewed("/a", "/b", "/a", "/b", "/a", every_s=7.5))),
        Quiet("one return", viewed("/a", "/b", "/a", every_s=5)),
        Quiet("compared at leisure", viewed("/a", "/b", "/a", "/b", "/a", every_s=8)),
        Quiet("three pages", viewed("/a", "/b", "/c", "/a", "/b", "/c", every_s=3)),
        Quiet("a list, and products of it", viewed("/l", "/1", "/l", "/2", "/l", "/3", "/l", every_s=3)),
        Quiet("loaded again and again", viewed("/a", "/a", "/a", "/a", "/a", every_s=3)),
        Quiet("steps of the checkout", viewed("/a", "/b", "/a", "/b", "/a", every_s=5, page_type="checkout")),
        Quiet("nobody knows which pages", viewed(None, "/b", None, "/b", None, every_s=3)),
    ),
)
