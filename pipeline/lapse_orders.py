"""Orders for which somebody who left with a full cart came back after all.

Frames:  PERSON + LAPSE, PERSON + CASE -> a time a lapse
Cases:   an order of the same person, from the start of the wait on -> meets it; the first counts | both know their cart, and it is another -> it does not
         an order that was placed and cancelled later -> meets it all the same
"""

import polars as pl

from pipeline.attribution import ORDER_AFTER_COMMIT
from pipeline.first_after import first_after
from pipeline.table import TIME


def ordered_at(lapses: pl.DataFrame, cases: pl.DataFrame) -> pl.Series:
    """When the order came that each lapse of a visit waited for; null: it did not, or the lapse is of something else."""
    waiting = lapses.with_row_index("row").filter(pl.col("expectation") == ORDER_AFTER_COMMIT)
    placed = cases.filter(pl.col("placed_at").is_not_null())
    if waiting.is_empty() or placed.is_empty():
        return pl.repeat(None, lapses.height, dtype=TIME, eager=True).alias("ordered_at")
    asked = waiting.select("row", "person", "cart_id", pl.col("began_at").alias("since"))
    orders = placed.select("person", "cart_id", pl.col("placed_at").alias("at"))
    ways = (
        (asked, orders, ("person", "cart_id")),
        (asked, orders.filter(pl.col("cart_id").is_null()), ("person",)),
        (asked.filter(pl.col("cart_id").is_null()), orders, ("person",)),
    )
    met = pl.concat([first_after(*way) for way in ways]).group_by("row").agg(pl.col("at").min().alias("ordered_at"))
    every = lapses.select(pl.int_range(pl.len(), dtype=pl.get_index_type()).alias("row"))
    return every.join(met, on="row", how="left", maintain_order="left")["ordered_at"]
