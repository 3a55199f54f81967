"""What differs between the rows that were said and those that are to be said now.

Frames:  rows of one table, twice -> upserts of it, with `is_deleted`
"""

from collections.abc import Sequence

import polars as pl


def changed_rows(old: pl.DataFrame, new: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Rows that were not there before in every column, and those that are there no more, as deleted."""
    changed = new.join(old, on=new.columns, how="anti", nulls_equal=True) if old.height else new
    gone = old.join(new, on=list(key), how="anti", nulls_equal=True) if old.height else old
    return pl.concat(
        [
            changed.with_columns(pl.lit(0, dtype=pl.UInt8).alias("is_deleted")),
            gone.with_columns(pl.lit(1, dtype=pl.UInt8).alias("is_deleted")),
        ]
    )
