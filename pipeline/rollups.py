"""Counts per interval and segment, absolute: what the sessions add to them, and what they add no more.

A session's contributions are looked at before and after a step; the difference moves the counts. A count is sent whole, so a repeated row changes
nothing; one that falls to nothing is sent as 0.

Frames:  Told, rows of signals and outcomes -> CONTRIBUTIONS -> frames.ROLLUPS
"""

from collections.abc import Iterator, Mapping
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
        """The counts after what contributed `before` contributes `after`, and those that changed. Frames: SEGMENT and `n`, twice -> COUNTS."""
        signs = [
            before.with_columns(-pl.col("n")),
            after,
        ]
        change = pl.concat(signs).group_by(SEGMENT.names()).agg(pl.col("n").sum()).filter(pl.col("n") != 0)
        if change.is_empty():
            return self, COUNTS.to_frame()
        change = _keyed(change)
        was, left = self.counts.take(np.unique(change["key"].to_numpy()))
        both = pl.concat([was, change]).group_by(["key", *SEGMENT.names()]).agg(pl.col("n").sum())
        changed = both.join(change.select(SEGMENT.names()), on=SEGMENT.names(), how="semi", nulls_equal=True)
        return Rollups(left.put(both)), changed

    def of_partition(self, partition: int) -> pl.DataFrame:
        """The counts of one partition. Frames: -> COUNTS."""
        return self.counts.frame().filter(pl.col("partition") == partition)

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
            yield replace(piece, frame=lambda made=piece.frame: made().drop("key", strict=False))  # type: ignore[misc]  # mypy infers no lambda with a default

    def restored(self, frames: Mapping[str, pl.DataFrame]) -> "Rollups":
        """These as well, from pieces."""
        counts = living(frames)
        return self if counts is None else replace(self, counts=self.counts.put(_keyed(counts)))


def _keyed(counts: pl.DataFrame) -> pl.DataFrame:
    return counts.with_columns(pl.struct(SEGMENT.names()).hash().alias("key")).select(COUNTS.names())


def contributions(told: Told, facts: Mapping[str, pl.DataFrame], rules: SessionRules) -> pl.DataFrame:
    """What these sessions add to the counts. Frames: Told, its SIGNALS and OUTCOMES -> SEGMENT and `n`."""
    segment = ["partition", "site", *rules.dimensions]
    interval_ms = milliseconds(rules.interval)
    interval = (pl.col("ms") // interval_ms * interval_ms).alias("interval_ms")
    sessions = told.sessions.select(*segment, "is_bot", "status", "journey_no", pl.col("first_ms").alias("ms"))
    steps = pl.concat(
        [
            told.steps.select(pl.col("first_ms").alias("ms"), pl.col("journey_no").alias("no"), "step"),
            sessions.drop("ms")[told.steps["group"].to_numpy()],
        ],
        how="horizontal",
    )
    # Counted by number first: names are looked up for what is left.
    reached = (
        steps.filter(~pl.col("is_bot"))
        .group_by(
            *segment,
            interval,
            pl.col("no").alias("journey_no"),
            "step",
            (pl.col("status") == "converted") & (pl.col("journey_no") == pl.col("no")),
        )
        .agg(pl.len().cast(pl.Int64).alias("n"))
        .join(step_table(rules.journeys), on=["journey_no", "step"])
        .drop("step")
        .rename({"step_name": "step"})
    )
    people = sessions.filter(~pl.col("is_bot")).group_by(*segment, interval).agg(pl.len().cast(pl.Int64).alias("n"))
    parts = [
        _measured(people, "sessions", rules),
        _measured(reached, "reached", rules),
        _measured(reached.filter("status", pl.col("is_goal") == 1), "converted", rules),
        *(
            _measured(
                facts[table]
                .with_columns(pl.col(at).cast(pl.Int64).alias("ms"), pl.lit(1, dtype=pl.Int64).alias("n"))
                .with_columns(interval),
                measure,
                rules,
            )
            for table, at, measure in (("outcomes", "began_at", "abandoned"), ("signals", "fired_at", "signals"))
        ),
    ]
    return pl.concat(parts)


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


def _measured(counted: pl.DataFrame, measure: str, rules: SessionRules) -> pl.DataFrame:
    """Frames: any with some columns of SEGMENT, and `n` -> SEGMENT and `n`."""
    known = {*counted.columns} - {name for name in DIMENSIONS if name not in rules.dimensions}
    columns = [pl.col(name) if name in known else pl.lit("").alias(name) for name in SEGMENT.names() if name != "measure"]
    typed = [pl.col(name).cast(dtype) for name, dtype in SEGMENT.items()]
    filled = [
        column.fill_null("") if SEGMENT[name] == pl.Categorical() else column for name, column in zip(SEGMENT, typed, strict=True)
    ]
    return counted.select(*columns, pl.lit(measure).alias("measure"), "n").select(*filled, "n")
