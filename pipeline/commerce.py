"""Events of orders and deliveries together, as the fold by order is given them and as it keeps them.

A *case* is one commerce document with its parcels. Its key is a hash of (site, order_id); a parcel of which no order is known is a case of its own.

Frames:  COMMERCE + POSITION -> KEPT
Cases:   a column `watermark` stands beside -> it is the watermark just before each row, told by whoever sent it (watermark.BEFORE); else it follows from the events
"""

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.event_ids import EventIds, apart
from pipeline.events import POSITION, event_schema
from pipeline.fates import Verdicts, judged_by
from pipeline.frames import TIME, schema
from pipeline.hashing import Hashes, also64, also128, hash64, hash128
from pipeline.watermark import UNREAD, Millis, advanced, before_batch, from_ms, in_each, in_ms, of_partitions

FAMILIES = ("order", "delivery")
COMMERCE_FAMILY = "commerce"
"""What a fold says it reads that reads both."""

COMMERCE = schema({"family": pl.String(), **event_schema("order"), **event_schema("delivery")})
"""What stands in an event of either family; in the order of the contracts."""

WATERMARK = pl.Schema({"watermark": TIME})
"""May stand beside."""

_TEXTS = (
    "delivery_id",
    "cart_id",
    "customer_id",
    "visitor_id",
    "account_id",
    "session_id",
    "parent_id",
    "quote_id",
    "return_id",
    "assignee_id",
    "reason",
)
_WORDS = ("document_type", "step", "currency", "payment_method", "country", "carrier")
"""Of few different values."""
_TIMES = ("promised_at", "due_at", "eta_at")

KEPT = schema(
    {
        "case_key": pl.UInt64,
        "partition": pl.Int32,
        "event_type": pl.Categorical(),
        "event_ms": pl.Int64,
        "tie": pl.UInt64,
        "event_key": pl.UInt64,
        "event_low": pl.UInt64,
        "parcel_key": pl.UInt64,
        "owner": pl.UInt64,
        "knows_order": pl.Boolean,
        **dict.fromkeys(_TEXTS, pl.String),
        **dict.fromkeys(_WORDS, pl.Categorical()),
        **dict.fromkeys(_TIMES, pl.Int64),
        "amount_minor": pl.Int64,
        "refund_minor": pl.Int64,
        "is_reorder": pl.Boolean,
    }
)
"""An event that is remembered. (event_ms, tie) is the order; `parcel_key` is null without a parcel, `owner` the case that its parcel belongs to;
`knows_order`: the event says the order itself."""

WHOSE = schema({"site": pl.String, "order_id": pl.String})
"""What stands beside in a fresh event: it is kept once a case."""

_FRESH = pl.Schema([*KEPT.items(), *WHOSE.items()])


def records(batch: pl.DataFrame) -> pl.DataFrame:
    """What is an event of a case, of what a stage has passed on: a parcel's order is learned from `order_shipped`, not from links."""
    if "is_forwarded" not in batch.columns:
        return batch
    return batch.filter(pl.col("family").is_in(FAMILIES), ~pl.col("is_forwarded"))


def together(events: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Events of both families in order of their offsets. Frames: family -> event_schema(family) + POSITION -> COMMERCE + POSITION."""
    nothing = schema({**COMMERCE, **POSITION}).to_frame()
    found = [rows.with_columns(pl.lit(family).alias("family")) for family, rows in events.items() if family in FAMILIES]
    return pl.concat([nothing, *found], how="diagonal").sort("partition", "offset")


def judged(
    batch: pl.DataFrame, watermarks: pl.DataFrame, ids: EventIds, lateness: timedelta, horizon: timedelta
) -> tuple[Verdicts, pl.DataFrame]:
    """Say of every record whether it is applied; and WATERMARKS after the last."""
    before_ms, after = _advanced(batch, watermarks, lateness)
    event = also128(hash128(batch["event_id"]), batch["site"], batch["family"])
    return judged_by(batch, before_ms, after, ids, event, horizon=horizon), after


def _advanced(batch: pl.DataFrame, watermarks: pl.DataFrame, lateness: timedelta) -> tuple[Millis, pl.DataFrame]:
    if "watermark" not in batch.columns:
        return advanced(batch, watermarks, lateness)
    partition = batch["partition"].to_numpy()
    before_ms = np.maximum(in_ms(batch["watermark"]), of_partitions(before_batch(watermarks), partition))
    after = in_each(watermarks)
    for each in np.unique(partition).tolist():
        after[each] = max(after.get(each, UNREAD), int(before_ms[partition == each].max()))
    return before_ms, from_ms(after)


def case_keys(partition: NDArray[np.int32], site: pl.Series, order_id: pl.Series) -> Hashes:
    """What a document is found by; in each partition another."""
    return apart(partition, hash64(site, order_id))


def parcel_keys(partition: NDArray[np.int32], site: pl.Series, delivery_id: pl.Series) -> Hashes:
    """What a parcel is found by."""
    return apart(partition, also64(hash64(site), pl.repeat("parcel", len(site), eager=True), delivery_id))


def fresh(applied: pl.DataFrame) -> pl.DataFrame:
    """Applied events as they are kept; `case_key` and `owner` are null where the event does not say the order. Frames: COMMERCE -> KEPT and WHOSE."""
    said = applied.with_columns(
        pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in (*_TEXTS, *_WORDS, "order_id")
    )
    partition = said["partition"].to_numpy()
    high, low = hash128(said["event_id"])
    tie = also64(high, said["family"])
    knows_order, has_parcel = pl.col("order_id").is_not_null(), pl.col("delivery_id").is_not_null()
    case_key = pl.Series(case_keys(partition, said["site"], said["order_id"]), dtype=pl.UInt64)
    parcel_key = pl.Series(parcel_keys(partition, said["site"], said["delivery_id"]), dtype=pl.UInt64)
    return said.select(
        pl.when(knows_order).then(case_key).alias("case_key"),
        "partition",
        "event_type",
        pl.col("event_at").to_physical().alias("event_ms"),
        pl.Series("tie", tie, pl.UInt64),
        pl.Series("event_key", high, pl.UInt64),
        pl.Series("event_low", low, pl.UInt64),
        pl.when(has_parcel).then(parcel_key).alias("parcel_key"),
        pl.lit(None, dtype=pl.UInt64).alias("owner"),
        knows_order.alias("knows_order"),
        *_TEXTS,
        *_WORDS,
        *(pl.col(name).to_physical() for name in _TIMES),
        "amount_minor",
        "refund_minor",
        "is_reorder",
        "site",
        "order_id",
    ).cast(_FRESH)
