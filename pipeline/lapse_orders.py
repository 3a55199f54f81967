"""Orders for which somebody who left with a full cart came back after all.

Frames:  PERSON + LAPSE, PERSON + CASE -> a time a lapse
Cases:   an order of the same person, from the start of the wait on -> meets it; the first counts | both know their cart, and it is another -> it does not
         an order that was placed and cancelled later -> meets it all the same
"""

import polars as pl

from pipeline.attribution import ORDER_AFTER_COMMIT
from pipeline.table import TIME


def ordered_at(lapses: pl.DataFrame, cases: pl.DataFrame) -> pl.Series:
    """When the order came that each lapse of a visit waited for; null: it did not, or the lapse is of something else."""
    waiting = lapses.with_row_index("row").filter(pl.col("expectation") == ORDER_AFTER_COMMIT)
    placed = cases.filter(pl.col("placed_at").is_not_null())
    if waiting.is_empty() or placed.is_empty():
        return pl.repeat(None, lapses.height, dtype=TIME, eager=True).alias("ordered_at")
    met = (
        waiting.select("row", "person", "began_at", "cart_id")
        .join(placed.select("person", "placed_at", pl.col("cart_id").alias("ordered_cart_id")), on="person")
        .filter(
            pl.col("placed_at") >= pl.col("began_at"),
            (pl.col("cart_id") == pl.col("ordered_cart_id")).fill_null(value=True),
        )
        .group_by("row")
        .agg(pl.col("placed_at").min().alias("ordered_at"))
    )
    every = lapses.select(pl.int_range(pl.len(), dtype=pl.get_index_type()).alias("row"))
    return every.join(met, on="row", how="left", maintain_order="left")["ordered_at"]
