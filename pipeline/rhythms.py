"""In which rhythm customers order, and how long their next order may take.

Frames:  PERSON + CASE -> ORDERS
Cases:   a cancelled order -> none | fewer orders than tell a rhythm -> the wait that holds for everybody
         what comes by the due time -> meets the wait of the order before it, and begins its own
"""

import polars as pl

from pipeline.expectation import Expectation
from pipeline.table import schema
from pipeline.watermark import milliseconds

ORDERS = schema(
    {
        "person": pl.Int64,
        "site": pl.String,
        "order_id": pl.String,
        "visitor_id": pl.String,
        "account_id": pl.String,
        "amount_minor": pl.Int64,
        "refund_minor": pl.Int64,
        "currency": pl.String,
        "placed_ms": pl.Int64,
        "next_ms": pl.Int64,
        "gap_ms": pl.Int64,
    }
)
"""An order that counts, in order of (person, placed_ms, order_id). `next_ms`: when the person's next one was placed, null: it was not; `gap_ms`: since the one before,
null: it is the first."""


def orders(cases: pl.DataFrame) -> pl.DataFrame:
    """The orders of each person that were not cancelled. Frames: -> ORDERS."""
    placed = pl.col("placed_at").to_physical()
    return (
        cases.filter(pl.col("placed_at").is_not_null() & pl.col("cancelled_at").is_null())
        .sort("person", "placed_at", "order_id")
        .with_columns(
            placed.alias("placed_ms"),
            placed.shift(-1).over("person").alias("next_ms"),
            (placed - placed.shift(1).over("person")).alias("gap_ms"),
        )
        .select(ORDERS.names())
    )


def due_ms(orders: pl.DataFrame, expectation: Expectation) -> pl.Series:
    """By when the order after each of these is due. Frames: ORDERS."""
    assert expectation.within is not None, "the grammar sees to it"
    wait = pl.lit(milliseconds(expectation.within))
    if (rhythm := expectation.rhythm) is not None:
        usual = pl.col("gap_ms").rolling_median(rhythm.last - 1, min_samples=rhythm.at_least - 1).over("person")
        own = (usual * rhythm.times).floor().cast(pl.Int64)
        wait = pl.when(own.is_not_null()).then(pl.max_horizontal(own, pl.lit(milliseconds(rhythm.shortest)))).otherwise(wait)
    return orders.select((pl.col("placed_ms") + wait).alias("due_ms")).to_series()
