"""Who turned to support about what had not come, and when first.

Frames:  PERSON + LAPSE, MOMENTS -> a row a lapse that was spoken of: `row`, `contacted_at`, `contact_ticket_id`
Time:    from the start of the wait until it would be silent, both inclusive
Cases:   about the same order -> it counts | about none, and of no journey or that of the lapse -> it counts | about another order, or another journey -> not
         a wait for support itself -> what is said in its own ticket after it began counts too; what began it does not
Source:  DESIGN 4
"""

import polars as pl

from pipeline.first_after import first_after


def contacts(lapses: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    """The first contact about each lapse that has one; `row` is its place. Frames: -> `row`, `contacted_at`, `contact_ticket_id`."""
    spoken = moments.select("person", "at", "event_id", "order_id", "journey", "ticket_id", pl.col("ticket_id").alias("said_in"))
    of_ticket = pl.col("ticket_id").is_not_null()
    waited = lapses.with_row_index("row").select(
        "row",
        "person",
        "silent_at",
        "order_id",
        "ticket_id",
        "journey",
        (pl.col("began_at") + pl.when(of_ticket).then(pl.duration(milliseconds=1)).otherwise(pl.duration())).alias("since"),
    )
    about_none = spoken.filter(pl.col("order_id").is_null())
    ways = (
        (("person", "order_id"), spoken),
        (("person", "ticket_id"), spoken),
        (("person", "journey"), about_none),
        (("person",), about_none.filter(pl.col("journey").is_null())),
    )
    found = [first_after(waited, said, by, "event_id", "said_in") for by, said in ways]
    return (
        pl.concat([waited.select("row", "silent_at").join(each, on="row") for each in found])
        .filter(pl.col("at") <= pl.col("silent_at"))
        .sort("row", "at", "event_id")
        .unique("row", keep="first", maintain_order=True)
        .select("row", pl.col("at").alias("contacted_at"), pl.col("said_in").alias("contact_ticket_id"))
    )
