"""Counts per interval and segment, absolute: what visits, cases and people add to them, and what they add no more.

What an entity contributes is looked at before and after a step; the difference moves the counts. A count is sent whole, so a repeated row changes
nothing; one that falls to nothing is sent as 0.

Frames:  CONTRIBUTIONS -> COUNTS -> frames.ROLLUPS
Time:    a count is mature when every wait in it can have been decided: the latest `matures_ms` of what is counted
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline import frames
from pipeline.count_rules import DIMENSIONS, Cut
from pipeline.expectation import Expectation
from pipeline.hashing import hash64
from pipeline.keyed_rows import KeyedRows, living
from pipeline.pieces import Piece, within
from pipeline.watermark import UNREAD, milliseconds

SEGMENT = frames.schema(
    {
        "partition": pl.Int32,
        "site": pl.Categorical(),
        "interval_ms": pl.Int64,
        "measure": pl.Categorical(),
        "journey": pl.Categorical(),
        "step": pl.Categorical(),
        "expectation": pl.Categorical(),
        "signal": pl.Categorical(),
        **dict.fromkeys(DIMENSIONS, pl.Categorical()),
    }
)
"""What a count is of; a dimension that was not chosen is ''."""

CONTRIBUTIONS = frames.schema({**SEGMENT, "matures_ms": pl.Int64, "n": pl.Int64})
"""What adds to a count, and when it can have been decided."""

COUNTED = frames.schema({"key": pl.UInt64, **CONTRIBUTIONS})
"""What a count is made of: a row for each time at which some of it matures."""

_CUT = "cut"
_CUTS = pl.Schema([("partition", pl.Int32()), ("interval_ms", pl.Int64()), ("dimensions", pl.List(pl.String))])


@dataclass(frozen=True)
class Rollups:
    """The counts that can still change."""

    counts: KeyedRows = field(default_factory=lambda: KeyedRows(COUNTED, "key"))
    cuts: Mapping[int, Cut] = field(default_factory=dict)
    """Partition -> how its counts are cut."""

    def others(self, cut: Cut) -> dict[int, Cut]:
        """Partitions whose counts are cut otherwise."""
        return {partition: was for partition, was in self.cuts.items() if was != cut}

    def cut_by(self, cut: Cut, counted: pl.DataFrame) -> "Rollups":
        """Ready for what is cut so. Counts of other intervals are another's: they are forgotten, and stay as they are. Frames: CONTRIBUTIONS."""
        cuts = dict.fromkeys([*self.cuts, *np.unique(counted["partition"].to_numpy()).tolist()], cut)
        if cuts == self.cuts:
            return self
        others = [partition for partition, was in self.cuts.items() if was.interval != cut.interval]
        kept = self.counts.kept(lambda rows: ~np.isin(rows["partition"].to_numpy(), others)) if others else self.counts
        return Rollups(kept, cuts)

    def moved(self, change: pl.DataFrame) -> tuple["Rollups", pl.DataFrame]:
        """The counts after this is added, and those that changed. Frames: CONTRIBUTIONS -> COUNTED."""
        change = keyed(change.group_by([*SEGMENT.names(), "matures_ms"]).agg(pl.col("n").sum()).filter(pl.col("n") != 0))
        return self.changed(change, change)

    def changed(self, change: pl.DataFrame, new: pl.DataFrame) -> tuple["Rollups", pl.DataFrame]:
        """The same of what is to be added: `key`, `matures_ms`, `n`; `new` says of keys that there were not what they are of. Frames: COUNTED -> COUNTED."""
        if change.is_empty():
            return self, COUNTED.to_frame()
        was, left = self.counts.take(np.unique(change["key"].to_numpy()))
        parts = ["key", "matures_ms", "n"]
        sums = pl.concat([was.select(parts), change.select(parts)]).group_by("key", "matures_ms").agg(pl.col("n").sum())
        of = ["key", *SEGMENT.names()]
        known = pl.concat([was.select(of), new.select(of)]).unique("key")
        both = sums.join(known, on="key").select(COUNTED.names())
        return replace(self, counts=left.put(both.filter(pl.col("n") != 0))), both

    def rows_of(self, partition: int, cut: Cut, source: str) -> pl.DataFrame:
        """The counts of one partition as they were said; `cut`: by what, if that was not kept. Frames: -> ROLLUPS."""
        counts = self.counts.frame().filter(pl.col("partition") == partition)
        return rows(counts, self.cuts.get(partition, cut).interval, source)

    def kept(self, since_ms: Mapping[int, int]) -> "Rollups":
        """Without the intervals that nobody in state contributes to: partition -> ms of the oldest that one may."""

        def is_needed(counts: pl.DataFrame) -> NDArray[np.bool_]:
            since = counts["partition"].replace_strict(dict(since_ms), default=UNREAD, return_dtype=pl.Int64)
            return (counts["interval_ms"] >= since).to_numpy()

        return replace(self, counts=self.counts.kept(is_needed))

    def without(self, partition: int) -> "Rollups":
        """Those of the other partitions."""
        cuts = {at: cut for at, cut in self.cuts.items() if at != partition}
        return Rollups(self.counts.kept(lambda rows: (rows["partition"] != partition).to_numpy()), cuts)

    def pieces(self, partition: int) -> Iterator[Piece]:
        """The counts of one partition, and how they are cut."""
        yield from self.counts.pieces(partition)
        if partition in self.cuts:
            cut = self.cuts[partition]
            said = {"partition": partition, "interval_ms": milliseconds(cut.interval), "dimensions": list(cut.dimensions)}
            yield Piece(".".join((_CUT, str(said["interval_ms"]), *cut.dimensions)), lambda: pl.DataFrame([said], schema=_CUTS))

    def restored(self, frames: Mapping[str, pl.DataFrame]) -> "Rollups":
        """These as well, from pieces. Of earlier versions some have no key that lasts, and do not say when they mature."""
        rows = living(frames)
        if rows is None:
            return self
        late = () if "matures_ms" in rows.columns else (pl.lit(None, pl.Int64).alias("matures_ms"),)
        cuts = {
            at: Cut(timedelta(milliseconds=ms), tuple(names))
            for frame in within(_CUT, frames).values()
            for at, ms, names in frame.iter_rows()
        }
        return Rollups(self.counts.put(keyed(rows.with_columns(*late))), {**self.cuts, **cuts})


def keyed(counts: pl.DataFrame) -> pl.DataFrame:
    """Contributions with the key of their count, which is the same for ever. Frames: CONTRIBUTIONS and others -> the same, `key`."""
    return counts.with_columns(pl.Series("key", hash64(*(counts[name].cast(pl.String) for name in SEGMENT)), pl.UInt64))


def interval_of(ms: str, interval: timedelta) -> pl.Expr:
    """The interval in which a time lies."""
    length = milliseconds(interval)
    return (pl.col(ms) // length * length).alias("interval_ms")


def end_of(ms: pl.Expr, interval: timedelta) -> pl.Expr:
    """The first end of an interval at or after a time: counts of one interval mature at few times."""
    length = milliseconds(interval)
    return -(-ms // length) * length


def signal_matures(ms: str, interval: timedelta, lateness: timedelta) -> pl.Expr:
    """What has fired is known when the interval is over."""
    length = milliseconds(interval)
    return (pl.col(ms) // length * length + length + milliseconds(lateness)).alias("matures_ms")


def named(expectations: Sequence[Expectation]) -> pl.DataFrame:
    """Name, journey and step of each, as counts call them: a row an expectation."""
    columns = {"expectation": "name", "journey": "journey", "step": "step"}
    return pl.DataFrame(
        {column: [getattr(each, name) for each in expectations] for column, name in columns.items()},
        schema=dict.fromkeys(columns, pl.String),
    )


def as_measures(waits: pl.DataFrame) -> pl.DataFrame:
    """Waits once for each measure that counts them. Frames: any with `is_met`, `is_lapsed` -> the same, `measure`."""
    every = np.arange(waits.height), *(np.flatnonzero(waits[name].to_numpy()) for name in ("is_met", "is_lapsed"))
    measure = np.repeat(np.arange(len(_OF_WAITS)), [len(places) for places in every])
    return waits[np.concatenate(every)].with_columns(_OF_WAITS.gather(measure))


_OF_WAITS = pl.Series("measure", ["began", "met", "abandoned"])


def measured(counted: pl.DataFrame, dimensions: tuple[str, ...], *beside: str) -> pl.DataFrame:
    """Frames: any with some columns of CONTRIBUTIONS, `measure`, `n` and `matures_ms` among them -> CONTRIBUTIONS, and what is beside them."""
    return counted.select(*beside, *_measuring(tuple(counted.columns), dimensions))


@cache
def _measuring(given: tuple[str, ...], dimensions: tuple[str, ...]) -> tuple[pl.Expr, ...]:
    known = {*given} - {name for name in DIMENSIONS if name not in dimensions}
    return tuple(
        pl.lit("", dtype=dtype).alias(name)
        if name not in known
        else pl.col(name).cast(dtype).fill_null("")
        if dtype == pl.Categorical()
        else pl.col(name).cast(dtype)
        for name, dtype in CONTRIBUTIONS.items()
    )


def rows(counts: pl.DataFrame, interval: timedelta, source: str) -> pl.DataFrame:
    """Frames: COUNTED, every part of each count -> ROLLUPS."""
    is_there = pl.col("n") > 0
    whole = counts.group_by(SEGMENT.names()).agg(
        pl.col("n").sum(), pl.coalesce(pl.col("matures_ms").filter(is_there).max(), pl.col("matures_ms").max())
    )
    return whole.select(
        *(pl.col(name).cast(pl.String) for name in SEGMENT.names() if SEGMENT[name] == pl.Categorical()),
        pl.col("interval_ms").cast(frames.TIME).alias("interval_at"),
        pl.lit(int(interval.total_seconds()), dtype=pl.UInt32).alias("interval_s"),
        pl.lit(source).alias("source"),
        pl.col("partition").cast(pl.UInt32).alias("source_partition"),
        "n",
        pl.col("matures_ms").cast(frames.TIME).alias("matures_at"),
        "partition",
    )
