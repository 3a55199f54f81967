"""Who turned to support about what had not come, and when first.

Frames:  PERSON + LAPSE, MOMENTS -> a row a lapse that was spoken of: `row`, `contacted_at`, `contact_ticket_id`
Time:    from the start of the wait until it would be silent, both inclusive
Cases:   about the same order -> it counts | about none, and of no journey or that of the lapse -> it counts | about another order, or another journey -> not
         a wait for support itself -> what is said in its own ticket after it began counts too; what began it does not
Source:  DESIGN 4
"""

import polars as pl


def contacts(lapses: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    """The first contact about each lapse that has one; `row` is its place. Frames: -> `row`, `contacted_at`, `contact_ticket_id`."""
    spoken = moments.select(
        "person",
        "at",
        "event_id",
        pl.col("ticket_id").alias("said_in"),
        pl.col("order_id").alias("said_order"),
        pl.col("journey").alias("said_journey"),
    )
    waited = lapses.with_row_index("row").select("row", "person", "began_at", "silent_at", "order_id", "ticket_id", "journey")
    names_it = pl.col("said_order") == pl.col("order_id")
    could_be_it = pl.col("said_order").is_null() & (
        pl.col("said_journey").is_null() | (pl.col("said_journey") == pl.col("journey"))
    )
    is_of_ticket = pl.col("said_in") == pl.col("ticket_id")
    is_about_it = names_it.fill_null(value=False) | could_be_it.fill_null(value=False) | is_of_ticket.fill_null(value=False)
    return (
        waited.join(spoken, on="person")
        .filter(
            pl.col("at") >= pl.col("began_at"),
            pl.col("at") <= pl.col("silent_at"),
            pl.col("ticket_id").is_null() | (pl.col("at") > pl.col("began_at")),
            is_about_it,
        )
        .sort("row", "at", "event_id")
        .unique("row", keep="first", maintain_order=True)
        .select("row", pl.col("at").alias("contacted_at"), pl.col("said_in").alias("contact_ticket_id"))
    )
