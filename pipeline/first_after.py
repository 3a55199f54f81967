"""What came first, at or after a time, about the same thing: in memory that grows with the rows, however many of them one person has.

Frames:  `row`, `since` and the names of what it is about; `at`, the same names, others -> `row`, `at`, others
Cases:   a name that is null -> is about nothing | several at once -> the first in the order of the others
"""

from collections.abc import Sequence

import polars as pl


def first_after(waiting: pl.DataFrame, happened: pl.DataFrame, by: Sequence[str], *others: str) -> pl.DataFrame:
    """The first of `happened` at or after `since` with the same `by`, of each row that has one. Frames: -> `row`, `at`, `others`."""
    asked = waiting.select("row", "since", *by).drop_nulls(by).sort("since")
    firsts = (
        happened.select("at", *by, *others)
        .drop_nulls(["at", *by])
        .sort("at", *others)
        .unique(["at", *by], keep="first", maintain_order=True)
    )
    found = asked.join_asof(
        firsts, left_on="since", right_on="at", by=list(by), strategy="forward", coalesce=False, check_sortedness=False
    )
    return found.filter(pl.col("at").is_not_null()).select("row", "at", *others)
