"""Search dead end: a search finds nothing, or one query after the other leads nowhere.

A chain is searches until something is opened or put in the cart. A search *completes* if it found nothing, or if it is a new query and with the
`queries - 1` new ones before it in its chain fits into `within_s`; the signal fires at the first of a run, which goes on as long as searches of the
chain complete within that time of each other.

Cases:   the same query again (the next page of results) -> not a new one | the number of results unknown -> only the queries tell
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import since_before, telling


@dataclass(frozen=True)
class SearchDeadEnd:
    """When searches are a dead end."""

    most_results: int = 0
    """A search that found no more than this many found nothing; 0 to 1,000."""
    queries: int = 3
    """New queries, none of which led anywhere, that make it a dead end; 2 to 100."""
    within_s: int = 300
    """Longest event time from the first of them to the last, inclusive; 1 s to an hour."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("search_dead_end", self, most_results=(0, 1_000), queries=(2, 100), within_s=(1, 3_600))


def fires(events: pl.DataFrame, rule: SearchDeadEnd) -> pl.DataFrame:
    """The first completing search of every run. Frames: -> FIRES."""
    within_ms, others = rule.within_s * 1_000, rule.queries - 1
    is_search = pl.col("event_type") == "search"
    is_other = (pl.col("visitor") != pl.col("visitor").shift(1)).fill_null(value=True)
    in_chain = (pl.col("chain") == pl.col("chain").shift(1)).fill_null(value=False)
    soon = since_before() <= within_ms
    found_nothing = (pl.col("n_results") <= rule.most_results).fill_null(value=False)
    searches = (
        events.with_row_index("row")
        .with_columns((is_other | ~is_search).cum_sum().alias("chain"))
        .filter(is_search)
        .with_columns(
            is_new=pl.col("query").is_not_null()
            & ~(in_chain & soon & (pl.col("query") == pl.col("query").shift(1))).fill_null(value=False),
            found_nothing=found_nothing,
        )
    )
    took_ms = pl.col("event_ms") - pl.col("event_ms").shift(others)
    asked = (
        searches.filter("is_new")
        .with_columns(took_ms.alias("took_ms"))
        .filter((pl.col("chain") == pl.col("chain").shift(others)).fill_null(value=False) & (pl.col("took_ms") <= within_ms))
        .select("row", "took_ms")
    )
    said = (
        pl.when("found_nothing")
        .then(pl.lit("nothing found"))
        .otherwise(pl.format(f"{rule.queries} queries in {{}} s, and nothing opened", pl.col("took_ms") // 1_000))
    )
    return (
        searches.join(asked, on="row", how="left", maintain_order="left")
        .filter(pl.col("found_nothing") | pl.col("took_ms").is_not_null())
        .filter(~(in_chain & soon).fill_null(value=False))
        .pipe(telling, value="n_results", element="query", detail=said)
    )


def asked(query: str | None, *, at_s: float, n_results: int | None = 40) -> Happening:
    """A search for an example."""
    return happened("search", at_ms=round(at_s * 1_000), query=query, n_results=n_results)


def opened(*, at_s: float) -> Happening:
    """A product looked at for an example."""
    return happened("view_item", at_ms=round(at_s * 1_000))


SEARCH_DEAD_END = Signal(
    name="search_dead_end",
    version=1,
    meaning="A search finds nothing, or query after query leads to nothing that is worth a look.",
    measures="results of the search at which it fired",
    reads=("search", "view_item", "add_to_cart"),
    marks=("view_item", "add_to_cart"),
    columns=("query", "n_results"),
    told_by={"query": ("search",), "n_results": ("search",)},
    rule=SearchDeadEnd(),
    # One reach to the completing search before, one more to its own first query, and what tells whether that was a new one.
    looks_back=lambda rule: timedelta(seconds=3 * rule.within_s),
    fires=fires,
    evidence=("query", "n_results", "event_ms"),
    source=(
        "Ours, for no product publishes a number. No results is what every shop's own report calls a dead end; putting it differently once is everyday, and whoever has put it "
        "three ways in five minutes and opened nothing was not understood. What counts as somewhere is a product opened or put in the cart: a click alone may be on the search box."
    ),
    examples=(
        Fires("nothing found", (asked("shoos", at_s=0, n_results=0),)),
        Fires(
            "three queries, nothing opened", (asked("coat", at_s=0), asked("raincoat", at_s=30), asked("anorak", at_s=70)), at=(2,)
        ),
        Fires("in exactly five minutes", (asked("coat", at_s=0), asked("raincoat", at_s=30), asked("anorak", at_s=300)), at=(2,)),
        Fires("a run is one signal", tuple(asked(f"coat {nth}", at_s=nth * 20) for nth in range(7)), at=(2,)),
        Fires(
            "nothing, and nothing again: one signal",
            (asked("shoos", at_s=0, n_results=0), asked("shose", at_s=9, n_results=0)),
            at=(0,),
        ),
        Fires(
            "nothing, something opened, nothing: two signals",
            (asked("shoos", at_s=0, n_results=0), opened(at_s=20), asked("hatt", at_s=40, n_results=0)),
            at=(0, 2),
        ),
        Fires(
            "nobody counted the results", tuple(asked(f"coat {nth}", at_s=nth * 20, n_results=None) for nth in range(3)), at=(2,)
        ),
        Quiet("two queries", (asked("coat", at_s=0), asked("raincoat", at_s=30))),
        Quiet("pages of one query", tuple(asked("coat", at_s=nth * 20) for nth in range(5))),
        Quiet(
            "something opened in between",
            (asked("coat", at_s=0), asked("raincoat", at_s=30), opened(at_s=40), asked("anorak", at_s=70)),
        ),
        Quiet("three in an hour", tuple(asked(f"coat {nth}", at_s=nth * 1_000) for nth in range(3))),
        Quiet("nobody knows what was asked", tuple(asked(None, at_s=nth * 9) for nth in range(4))),
    ),
)
