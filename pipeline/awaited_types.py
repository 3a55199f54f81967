"""Which event types a shop sends: what it has never sent it cannot have left out.

Frames:  KEPT and WHOSE -> SEEN; waits with `due_ms` -> whether what they await was seen before
Time:    a type counts for a due time from its first event of a day on, until `seen_within` whole days later
Cases:   several partitions -> whoever reads the input tells all of them what it has seen (`telling`, `told`), before the watermark that goes with it: all judge alike
         the fold by order has one partition -> what it holds is all there is
"""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.event_ids import apart
from pipeline.frames import TIME, schema
from pipeline.groups import Millis
from pipeline.hashing import hash64
from pipeline.keyed_rows import KeyedRows
from pipeline.passed import TYPES
from pipeline.watermark import of_partitions

SEEN = schema(
    {
        "seen_key": pl.UInt64,
        "partition": pl.Int32,
        "site": pl.Categorical(),
        "event_type": pl.Categorical(),
        "day": pl.Int64,
        "first_ms": pl.Int64,
    }
)
"""`first_ms`: the first event of that type on that day (since the epoch, UTC)."""

DAY_MS = 86_400_000


def noticed(seen: KeyedRows, fresh: pl.DataFrame) -> tuple[KeyedRows, pl.DataFrame]:
    """What was seen with these events; and the rows of it that are new. Frames: KEPT and WHOSE."""
    if fresh.is_empty():
        return seen, SEEN.to_frame()
    found = (
        fresh.select("partition", "site", "event_type", (pl.col("event_ms") // DAY_MS).alias("day"), "event_ms")
        .group_by("partition", "site", "event_type", "day")
        .agg(pl.col("event_ms").min().alias("first_ms"))
    )
    key = apart(
        found["partition"].to_numpy(), hash64(found["site"], found["event_type"].cast(pl.String), found["day"].cast(pl.String))
    )
    found = found.with_columns(pl.Series("seen_key", key, pl.UInt64)).select(SEEN.names()).cast(SEEN)
    old, left = seen.take(np.unique(key))
    both = pl.concat([old, found]).sort("first_ms").unique("seen_key", keep="first", maintain_order=True)
    return left.put(both), both.join(old, on=["seen_key", "first_ms"], how="anti")


def telling(new: pl.DataFrame) -> pl.DataFrame:
    """Types seen, on their way to every partition of a stage behind. Frames: SEEN -> passed.TYPES_TOLD, with `partition`."""
    return new.select(
        "partition",
        "site",
        "event_type",
        pl.col("first_ms").cast(TIME).alias("event_at"),
    ).cast({"site": pl.String, "event_type": pl.String})


def told(batch: pl.DataFrame) -> pl.DataFrame:
    """What a batch tells of types that others have seen, as `noticed` takes it. Frames: passed.heard."""
    types = batch.select("partition", "site", "event_type", pl.col("event_at").to_physical().alias("event_ms"))
    return types.filter(batch["family"] == TYPES)


def belated(new: pl.DataFrame, seen: KeyedRows, before: pl.DataFrame, after: pl.DataFrame, days: int) -> NDArray[np.int32]:
    """Partitions in which a type was seen late enough, and alone enough, to change a verdict that was given. Frames: SEEN, WATERMARKS twice."""
    then_ms = of_partitions(before, new["partition"].to_numpy())
    late = new.filter(pl.Series(new["first_ms"].to_numpy() < then_ms, dtype=pl.Boolean))
    if late.is_empty():
        return np.zeros(0, dtype=np.int32)
    # Whoever lapses before the watermark and sees this row sees an earlier one as well, if that is recent enough for the watermark itself.
    now_ms = of_partitions(after, late["partition"].to_numpy())
    which = ["partition", "site", "event_type"]
    earlier = seen.frame().select(*which, pl.col("day").alias("other_day"), pl.col("first_ms").alias("other_ms"))
    covered = (
        late.with_columns(pl.Series("now_day", now_ms // DAY_MS))
        .join(earlier, on=which)
        .filter((pl.col("other_ms") < pl.col("first_ms")) & (pl.col("other_day") >= pl.col("now_day") - days))
    )
    found: NDArray[np.int32] = late.join(covered, on="seen_key", how="anti")["partition"].unique().to_numpy()
    return found


def was_seen(seen: pl.DataFrame, types: Mapping[int, Sequence[str]], waits: pl.DataFrame, days: int) -> NDArray[np.bool_]:
    """Whether one of the types of its `place` was seen before each wait was due. Frames: SEEN; `partition`, `site`, `place`, `due_ms`."""
    if waits.is_empty():
        return np.zeros(0, dtype=bool)
    of_places = {"place": [place for place, names in types.items() for _ in names], "event_type": [*chain(*types.values())]}
    of_types = (
        seen.select("partition", "site", pl.col("event_type").cast(pl.String), "day", "first_ms")
        .join(pl.DataFrame(of_places, schema={"place": pl.Int64, "event_type": pl.String}), on="event_type")
        .sort("first_ms")
    )
    asked = waits.select("partition", pl.col("site").cast(pl.Categorical()), "place", "due_ms").with_row_index("row").sort("due_ms")
    found = asked.join_asof(
        of_types.drop("event_type"),
        left_on="due_ms",
        right_on="first_ms",
        by=["partition", "site", "place"],
        strategy="backward",
        check_sortedness=False,
    ).sort("row")
    is_recent = found["day"] >= found["due_ms"] // DAY_MS - days
    return is_recent.fill_null(value=False).to_numpy()


def needed_since(first_ms: Millis, partition: NDArray[np.int32], days: int) -> dict[int, int]:
    """Partition -> day before which nothing that is remembered asks."""
    oldest: dict[int, int] = {}
    for each in np.unique(partition).tolist():
        oldest[each] = int(first_ms[partition == each].min(initial=np.iinfo(np.int64).max)) // DAY_MS - days
    return oldest
