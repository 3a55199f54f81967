"""What a holder has heard of who it is: links, and the rows of `identities` that follow from them.

Frames:  HELD_LINKS -> HELD_LINKS, rows of frames.IDENTITIES
Cases:   the clicks told the same -> it is `sessions` that says so
"""

import polars as pl

from pipeline.frames import IDENTITIES, TIME, schema

CLICKSTREAM = "clickstream"
_NOTHING = schema(
    {
        "partition": pl.Int32,
        **{name: IDENTITIES.schema[name] for name in ("site", "visitor_id", "linked_at", "customer_id", "source")},
    }
).to_frame()


def learned(known: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Old links and new ones, each once. Frames: HELD_LINKS."""
    if new.is_empty():
        return known
    return pl.concat([known, new]).unique(maintain_order=True)


def identities(holders: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Logins of visitors that were learned from other events than clicks. Frames: HOLDERS, HELD_LINKS -> rows of IDENTITIES."""
    if links.is_empty():
        return _NOTHING
    visitors = holders.filter(pl.col("key").str.starts_with("visitor:")).select("holder", "site", "key")
    logins = links.filter(pl.col("belongs_to").str.starts_with("customer:")).join(visitors, on="holder", how="inner")
    at = ["holder", "event_ms"]
    clicked = logins.filter(pl.col("told_by") == CLICKSTREAM)
    told = logins.join(clicked, on=at, how="anti").sort(*at, "belongs_to", "told_by").unique(at, keep="first", maintain_order=True)
    return told.select(
        "partition",
        "site",
        pl.col("key").str.strip_prefix("visitor:").alias("visitor_id"),
        pl.col("event_ms").cast(TIME).alias("linked_at"),
        pl.col("belongs_to").str.strip_prefix("customer:").alias("customer_id"),
        pl.col("told_by").alias("source"),
    )
