"""Which order a parcel belongs to: that of the first event which names both.

Frames:  KEPT and WHOSE, LINKS -> LINKS, KEPT
Cases:   the carrier names it, or `order_shipped` names the parcel -> linked, with all that came before it
         an earlier event names another order -> the parcel moves there, with the events that do not say their order themselves
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.expectation import PARCEL_TYPES
from pipeline.frames import schema
from pipeline.hashing import Hashes
from pipeline.keyed_rows import KeyedRows

LINKS = schema(
    {
        "parcel_key": pl.UInt64,
        "partition": pl.Int32,
        "owner": pl.UInt64,
        "by_carrier": pl.Boolean,
        "event_ms": pl.Int64,
        "tie": pl.UInt64,
    }
)


@dataclass(frozen=True)
class Linked:
    """What a batch says of parcels."""

    fresh: pl.DataFrame
    """The events, each with its case and the owner of its parcel."""
    links: KeyedRows
    moved: pl.DataFrame
    """`parcel_key`, `was`, `owner`: parcels that belong to another case than before."""
    cases: Hashes
    """Cases that have lost or won a parcel, or that a new event belongs to; ascending."""


def linked(fresh: pl.DataFrame, links: KeyedRows) -> Linked:
    """Link the parcels of new events, and find what that changes."""
    parcels = fresh.filter(pl.col("parcel_key").is_not_null())
    old, left = links.take(np.unique(parcels["parcel_key"].to_numpy()))
    said = parcels.filter("knows_order").select(
        "parcel_key",
        "partition",
        pl.col("case_key").alias("owner"),
        pl.col("event_type").cast(pl.String).is_in(PARCEL_TYPES).alias("by_carrier"),
        "event_ms",
        "tie",
    )
    now = pl.concat([old, said]).sort("event_ms", "tie").unique("parcel_key", keep="first", maintain_order=True)
    moved = (
        now.select("parcel_key", "owner")
        .join(old.select("parcel_key", pl.col("owner").alias("was")), on="parcel_key", how="left")
        .with_columns(pl.col("was").fill_null(pl.col("parcel_key")))
        .filter(pl.col("was") != pl.col("owner"))
    )
    owner = fresh.select("parcel_key").join(now.select("parcel_key", "owner"), on="parcel_key", how="left", maintain_order="left")[
        "owner"
    ]
    placed = fresh.with_columns(owner.fill_null(fresh["parcel_key"]).alias("owner")).with_columns(
        pl.coalesce("case_key", "owner").alias("case_key")
    )
    touched = np.unique(np.concatenate([placed["case_key"].to_numpy(), moved["was"].to_numpy(), moved["owner"].to_numpy()]))
    return Linked(placed, left.put(now), moved, touched)


def rehomed(events: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
    """Events that were kept, under the cases that their parcels belong to now. Frames: KEPT -> KEPT."""
    if moved.is_empty() or events.is_empty():
        return events
    owner = events.select("parcel_key").join(moved, on="parcel_key", how="left", maintain_order="left")["owner"]
    return events.with_columns(pl.coalesce(owner, "owner").alias("owner")).with_columns(
        pl.when("knows_order").then("case_key").otherwise("owner").alias("case_key")
    )
