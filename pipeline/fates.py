"""What becomes of every record that a fold is given: applied, a repeat, or too late.

Frames:  event columns and POSITION -> frames.REFUSED, frames.FATES; with passed.ORIGIN beside, REFUSED_OF_ORIGIN and FATES_OF_ORIGIN
Cases:   further behind the watermark than the horizon -> too late, never applied | seen before -> duplicate | behind the watermark -> applied, and counted as late
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.event_ids import EventIds
from pipeline.frames import FATES, REFUSED
from pipeline.hashing import Hashes
from pipeline.passed import FATES_OF_ORIGIN, REFUSED_OF_ORIGIN
from pipeline.rejects import Reason
from pipeline.watermark import UNREAD, Millis, in_each, in_ms, milliseconds


@dataclass(frozen=True)
class Verdicts:
    """A batch, with what became of each record."""

    chosen: NDArray[np.int64]
    """Rows that are applied, in the order they came."""
    event_ms: Millis
    """Of every row."""
    ids: EventIds
    """All applied ids, these among them."""
    rejects: pl.DataFrame
    """frames.REFUSED, or REFUSED_OF_ORIGIN."""
    fates: pl.DataFrame
    """frames.FATES, or FATES_OF_ORIGIN."""


def judged_by(
    batch: pl.DataFrame, before_ms: Millis, after: pl.DataFrame, ids: EventIds, event: tuple[Hashes, Hashes], *, horizon: timedelta
) -> Verdicts:
    """Say of every record whether it is applied.

    `before_ms`: the watermark just before each row; `after`: WATERMARKS after the last; `event`: 128 bits that name the event of each row.
    """
    event_ms = in_ms(batch["event_at"])
    horizon_ms = milliseconds(horizon)
    is_read = before_ms != UNREAD
    too_late = is_read & (event_ms < np.where(is_read, before_ms, 0) - horizon_ms)
    partition = batch["partition"].to_numpy()
    high, low = event
    in_time = np.flatnonzero(~too_late)
    forgotten_ms = np.where(is_read, before_ms, UNREAD + horizon_ms) - horizon_ms
    fresh = ids.fresh(partition[in_time], high[in_time], low[in_time], event_ms[in_time], forgotten_ms[in_time])
    chosen = in_time[fresh]
    kept = ids.put(partition[chosen], high[chosen], low[chosen], event_ms[chosen], forgotten(after, horizon_ms))
    fate = np.full(len(batch), 1)
    fate[too_late] = 2
    fate[chosen] = 0
    refused = np.flatnonzero(too_late)
    return Verdicts(
        chosen,
        event_ms,
        kept,
        _refused(batch[refused], before_ms[refused]),
        _fates(batch.select(name for name in _PLACE if name in batch.columns), fate, is_read & (event_ms < before_ms)),
    )


def forgotten(watermarks: pl.DataFrame, horizon_ms: int) -> dict[int, int]:
    """Partition -> ms before which an event is too late."""
    return {partition: ms - horizon_ms for partition, ms in in_each(watermarks).items() if ms != UNREAD}


def _refused(events: pl.DataFrame, before_ms: Millis) -> pl.DataFrame:
    behind_s = (before_ms - in_ms(events["event_at"])) // 1_000
    detail = pl.concat_str(pl.lit("event_at lies "), pl.Series(behind_s).cast(pl.String), pl.lit(" s behind the watermark"))
    schema = REFUSED_OF_ORIGIN if "origin_topic" in events.columns else REFUSED
    return (
        events.with_columns(pl.lit(str(Reason.TOO_LATE)).alias("reason"), detail.alias("detail"))
        .select(schema.names())
        .cast(schema)
    )


_PLACE = ("partition", "origin_topic", "origin_partition")
"""Where a record is counted."""
_FATES = ("applied", "duplicate", "too_late")


def _fates(place: pl.DataFrame, fate: NDArray[np.int64], late: NDArray[np.bool_]) -> pl.DataFrame:
    schema = FATES_OF_ORIGIN if "origin_topic" in place.columns else FATES
    return (
        place.with_columns(pl.Series("fate", fate), pl.Series("late", late & (fate == 0)))
        .group_by(*place.columns, "fate", maintain_order=True)
        .agg(pl.len().alias("n"), pl.col("late").sum().alias("n_late"))
        .with_columns(pl.col("fate").replace_strict(dict(enumerate(_FATES)), return_dtype=pl.String))
        .select(schema.names())
        .cast(schema)
    )
