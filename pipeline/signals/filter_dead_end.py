"""Filter dead end: a list was narrowed until nothing was left in it.

Cases:   the number of results unknown -> quiet | the same list again at once -> one signal
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import first_of_runs, telling


@dataclass(frozen=True)
class FilterDeadEnd:
    """When a list is a dead end."""

    most_results: int = 0
    """A list of no more products than this is one of nothing; 0 to 1,000."""
    again_s: int = 60
    """A list of nothing on the same page so soon after one, inclusive, is the same; 1 s to an hour."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("filter_dead_end", self, most_results=(0, 1_000), again_s=(1, 3_600))


def counts(rule: FilterDeadEnd) -> pl.Expr:
    """Lists of nothing."""
    return (pl.col("n_results") <= rule.most_results).fill_null(value=False)


def fires(lists: pl.DataFrame, rule: FilterDeadEnd) -> pl.DataFrame:
    """The first of every run on one page. Frames: -> FIRES."""
    return first_of_runs(lists.with_row_index("row"), ("page",), rule.again_s * 1_000).pipe(
        telling, value="n_results", element="element", detail=pl.lit("nothing is left of the list")
    )


def listed(n_results: int | None, *, at_s: float = 0, **said: object) -> Happening:
    """A list for an example."""
    return happened("view_item_list", at_ms=round(at_s * 1_000), n_results=n_results, **said)


FILTER_DEAD_END = Signal(
    name="filter_dead_end",
    version=1,
    meaning="A list was narrowed until no product was left in it.",
    measures="products left in the list",
    reads=("view_item_list",),
    columns=("n_results", "element"),
    rule=FilterDeadEnd(),
    looks_back=lambda rule: timedelta(seconds=rule.again_s),
    counts=counts,
    fires=fires,
    evidence=("page", "element", "n_results", "event_ms"),
    source=(
        "Ours, for no product publishes a number: an empty list needs no threshold. A minute is what somebody spends on one set of filters; empty again on the same page within it is the same dead end. "
        "A shop tells it as a `view_item_list` with `n_results` 0, and may name the filter in `element`."
    ),
    examples=(
        Fires("nothing left", (listed(0, element="size-47"),)),
        Fires("two filters, one dead end", (listed(0), listed(0, at_s=20), listed(0, at_s=80)), at=(0,)),
        Fires("again later", (listed(0), listed(0, at_s=61)), at=(0, 1)),
        Fires("another list", (listed(0, page="/c/shoes"), listed(0, at_s=5, page="/c/hats")), at=(0, 1)),
        Quiet("one left", (listed(1),)),
        Quiet("nobody counted", (listed(None),)),
    ),
)
