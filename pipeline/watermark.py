"""How far event time has come in each input partition, and when silence counts.

Frames:  POSITION columns and `event_at`, WATERMARKS -> the watermark just before each row, WATERMARKS
Time:    watermark = latest min(event_at, record_at) seen - allowed lateness; it never goes back
Cases:   a device with a fast clock -> its record time caps it | nothing read yet -> null | caught up and quiet -> advances by what elapsed
"""

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.frames import TIME, WATERMARKS

UNREAD = np.iinfo(np.int64).min
"""Watermark in ms of a partition of which nothing was read."""
BEFORE = "before"
"""Column that may stand beside WATERMARKS, which then say how far time has come after a batch: how far it had come before."""

Millis = NDArray[np.int64]


def milliseconds(span: timedelta) -> int:
    """A span in whole milliseconds."""
    return span // timedelta(milliseconds=1)


def in_ms(times: pl.Series, *, null: int = UNREAD) -> Millis:
    """Times as epoch milliseconds."""
    ms = times.to_physical()
    return (ms.fill_null(null) if ms.null_count() else ms).to_numpy()


def in_each(watermarks: pl.DataFrame) -> dict[int, int]:
    """Partition -> its watermark in ms. Frames: WATERMARKS."""
    return dict(zip(watermarks["partition"].to_list(), in_ms(watermarks["watermark"]).tolist(), strict=True))


def before_batch(watermarks: pl.DataFrame) -> pl.DataFrame:
    """Of watermarks that a batch comes with, how far time had come before it. Frames: -> WATERMARKS."""
    if BEFORE not in watermarks.columns:
        return watermarks
    return watermarks.select("partition", pl.col(BEFORE).alias("watermark"))


def advanced(rows: pl.DataFrame, watermarks: pl.DataFrame, lateness: timedelta) -> tuple[Millis, pl.DataFrame]:
    """The watermark in ms just before every row (UNREAD: none), and the watermarks after the last.

    `rows` are in order of offset within each partition; partitions that `watermarks` does not know join in.
    """
    partitions = rows["partition"].to_numpy()
    reached = np.minimum(in_ms(rows["event_at"]), in_ms(rows["record_at"])) - milliseconds(lateness)
    known = in_each(watermarks)
    before = np.full(len(partitions), UNREAD, dtype=np.int64)
    for partition in np.unique(partitions):
        here = np.flatnonzero(partitions == partition)
        running = np.maximum.accumulate(np.append(known.get(int(partition), UNREAD), reached[here]))
        before[here] = running[:-1]
        known[int(partition)] = int(running[-1])
    return before, from_ms(known)


def from_ms(known: Mapping[int, int]) -> pl.DataFrame:
    """Frames: -> WATERMARKS, in order of partition."""
    partitions = sorted(known)
    told = pl.Series("watermark", [None if known[partition] == UNREAD else known[partition] for partition in partitions], pl.Int64)
    return pl.DataFrame([pl.Series("partition", partitions, pl.Int32), told.cast(TIME)], schema=WATERMARKS)


def elapsed(watermarks: pl.DataFrame, quiet: Mapping[int, timedelta]) -> pl.DataFrame:
    """The watermarks after these partitions were caught up and quiet for so long; a null one stays null. Frames: WATERMARKS -> WATERMARKS."""
    known = in_each(watermarks).items()
    return from_ms({at: ms if ms == UNREAD else ms + milliseconds(quiet.get(at, timedelta())) for at, ms in known})


def of_partitions(watermarks: pl.DataFrame, partitions: NDArray[np.int32]) -> Millis:
    """The watermark in ms of each of these partitions; UNREAD where there is none."""
    if watermarks.is_empty():
        return np.full(len(partitions), UNREAD, dtype=np.int64)
    known = np.full(int(max(watermarks["partition"].max(), partitions.max(initial=0))) + 1, UNREAD, dtype=np.int64)
    known[watermarks["partition"].to_numpy()] = in_ms(watermarks["watermark"])
    looked_up: Millis = known[partitions]
    return looked_up
