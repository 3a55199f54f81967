"""Counts per interval and segment, absolute: what the sessions add to them, and what they add no more.

A session's contributions are looked at before and after a step; the difference moves the counts. A count is sent whole, so a repeated row changes
nothing; one that falls to nothing is sent as 0.

Frames:  Told, rows of signals and outcomes -> CONTRIBUTIONS -> frames.ROLLUPS
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from pipeline import frames
from pipeline.journey_map import step_table
from pipeline.keyed_rows import KeyedRows, living
from pipeline.pieces import Piece
from pipeline.session_rules import DIMENSIONS, SessionRules
from pipeline.session_views import Told
from pipeline.watermark import milliseconds

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

COUNTS = frames.schema({"key": pl.UInt64, **SEGMENT, "n": pl.Int64})


@dataclass(frozen=True)
class Rollups:
    """The counts that can still change."""

    counts: KeyedRows = field(default_factory=lambda: KeyedRows(COUNTS, "key"))

    def moved(self, before: pl.DataFrame, after: pl.DataFrame) -> tuple["Rollups", pl.DataFrame]:
        """The counts after what contributed `before` contributes `after`, and those that changed. Frames: SEGMENT, SEGMENT -> COUNTS."""
        signs = [
            before.with_columns(pl.lit(-1, dtype=pl.Int64).alias("n")),
            after.with_columns(pl.lit(1, dtype=pl.Int64).alias("n")),
        ]
        change = pl.concat(signs).group_by(SEGMENT.names()).agg(pl.col("n").sum()).filter(pl.col("n") != 0)
        if change.is_empty():
            return self, COUNTS.to_frame()
        change = _keyed(change)
        was, left = self.counts.take(np.unique(change["key"].to_numpy()))
        both = pl.concat([was, change]).group_by(["key", *SEGMENT.names()]).agg(pl.col("n").sum())
        changed = both.join(change.select(SEGMENT.names()), on=SEGMENT.names(), how="semi", nulls_equal=True)
        return Rollups(left.put(both)), changed

    def kept(self, since_ms: Mapping[int, int]) -> "Rollups":
        """Without the intervals that nobody in state contributes to: partition -> ms of the oldest that one may."""
        old = pl.DataFrame(
            {"partition": list(since_ms), "since_ms": list(since_ms.values())}, schema={"partition": pl.Int32, "since_ms": pl.Int64}
        )
        return Rollups(
            self.counts.kept(
                lambda rows: (
                    rows.join(old, on="partition", how="left", maintain_order="left")
                    .select((pl.col("since_ms").is_null() | (pl.col("interval_ms") >= pl.col("since_ms"))).alias("kept"))["kept"]
                    .to_numpy()
                )
            )
        )

    def without(self, partition: int) -> "Rollups":
        """Those of the other partitions."""
        return replace(self, counts=self.counts.kept(lambda rows: (rows["partition"] != partition).to_numpy()))

    def pieces(self, partition: int) -> Iterator[Piece]:
        """The counts of one partition, without `key`, which is of this process only."""
        for piece in self.counts.pieces(partition):
            yield replace(piece, frame=lambda made=piece.frame: made().drop("key", strict=False))  # type: ignore[misc]

    def restored(self, frames: Mapping[str, pl.DataFrame]) -> "Rollups":
        """These as well, from pieces."""
        rows = {str(place): _keyed(rows) for place, rows in enumerate(living(frames))}
        return replace(self, counts=self.counts.restored(rows))


def _keyed(counts: pl.DataFrame) -> pl.DataFrame:
    return counts.with_columns(pl.struct(SEGMENT.names()).hash().alias("key")).select(COUNTS.names())


def contributions(told: Told, signals: pl.DataFrame, outcomes: pl.DataFrame, rules: SessionRules) -> pl.DataFrame:
    """What these sessions add to the counts. Frames: Told, SIGNALS with `group`, OUTCOMES with `group` -> SEGMENT."""
    people = told.sessions.filter(~pl.col("is_bot"))
    shown = people.select("group", "partition", "site", *(name for name in DIMENSIONS))
    names = step_table(rules.journeys)
    steps = told.steps.select("group", "journey_no", "step", "first_ms").join(names, on=["journey_no", "step"])
    goals = steps.join(
        people.filter(pl.col("status") == "converted").select("group", "journey_no"), on=["group", "journey_no"], how="semi"
    ).filter(pl.col("is_goal") == 1)
    parts = [
        _measured(people.select("group", pl.col("first_ms").alias("ms")), "sessions"),
        _measured(steps.select("group", pl.col("first_ms").alias("ms"), "journey", pl.col("step_name").alias("step")), "reached"),
        _measured(goals.select("group", pl.col("first_ms").alias("ms"), "journey", pl.col("step_name").alias("step")), "converted"),
        _measured(
            outcomes.select("group", pl.col("began_at").cast(pl.Int64).alias("ms"), "journey", "step", "expectation"), "abandoned"
        ),
        _measured(signals.select("group", pl.col("fired_at").cast(pl.Int64).alias("ms"), "journey", "step", "signal"), "signals"),
    ]
    interval_ms = milliseconds(rules.interval)
    not_chosen = [pl.lit("").alias(name) for name in DIMENSIONS if name not in rules.dimensions]
    return (
        pl.concat(parts)
        .join(shown, on="group", how="inner")
        .with_columns((pl.col("ms") // interval_ms * interval_ms).alias("interval_ms"), *not_chosen)
        .select(_segment_column(name) for name in SEGMENT.names())
    )


def rows(counts: pl.DataFrame, rules: SessionRules, source: str) -> pl.DataFrame:
    """Frames: COUNTS -> ROLLUPS."""
    matures = pl.duration(milliseconds=pl.lit(milliseconds(rules.interval + rules.gap + rules.allowed_lateness)))
    at = pl.col("interval_ms").cast(frames.TIME)
    return counts.select(
        *(pl.col(name).cast(pl.String) for name in SEGMENT.names() if SEGMENT[name] == pl.Categorical()),
        at.alias("interval_at"),
        pl.lit(int(rules.interval.total_seconds()), dtype=pl.UInt32).alias("interval_s"),
        pl.lit(source).alias("source"),
        pl.col("partition").cast(pl.UInt32).alias("source_partition"),
        "n",
        (at + matures).cast(frames.TIME).alias("matures_at"),
        "partition",
    )


_OPTIONAL: Sequence[str] = ("journey", "step", "expectation", "signal")


def _measured(rows_: pl.DataFrame, measure: str) -> pl.DataFrame:
    return rows_.select(
        "group",
        "ms",
        *(pl.col(name) if name in rows_.columns else pl.lit(None, dtype=pl.String).alias(name) for name in _OPTIONAL),
        pl.lit(measure).alias("measure"),
    )


def _segment_column(name: str) -> pl.Expr:
    column = pl.col(name)
    if SEGMENT[name] != pl.Categorical():
        return column.cast(SEGMENT[name])
    return column.cast(pl.Categorical()).fill_null("")
