"""A small fold that is real: it counts events per visitor and notices when one falls silent. And what must be true of its results."""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta

import polars as pl

from agents.arrow_batches import Batch
from agents.stages import Stage
from pipeline.decode import Decoded
from pipeline.fold import Step
from pipeline.frames import FATES, REFUSED, REJECTS, SESSIONS, TIME
from pipeline.pieces import Piece
from pipeline.watermark import UNREAD, advanced, of_partitions

EVENTS = pl.Schema(
    {"visitor_id": pl.String, "event": pl.Int64, "event_at": TIME, "partition": pl.Int32, "offset": pl.Int64, "record_at": TIME}
)
COUNTS = pl.Schema(
    {"partition": pl.Int32, "visitor_id": pl.String, "n": pl.UInt32, "total": pl.Int64, "last_at": TIME, "is_silent": pl.Boolean}
)


def value(visitor, event, event_ms):
    """An event as it stands on the topic."""
    return f"{visitor}|{event}|{event_ms}".encode()


def text(payload):
    return None if payload is None else payload.decode(errors="replace")


def decode(records):
    """Values to events; what is no event is rejected."""
    raw = pl.DataFrame(
        {
            "partition": records.partitions,
            "offset": records.offsets,
            "record_at": records.record_at_ms,
            "key": records.keys,
            "payload": records.values,
        },
        schema={"partition": pl.Int32, "offset": pl.Int64, "record_at": pl.Int64, "key": pl.Binary, "payload": pl.Binary},
    ).with_columns(pl.col("record_at").cast(TIME))
    texts = pl.Series([text(payload) for payload in records.values], dtype=pl.String)
    fields = pl.lit(texts).str.split_exact("|", 2).struct.rename_fields(["visitor_id", "event", "ms"])
    read = (
        raw.with_columns(fields.alias("fields")).unnest("fields").with_columns(pl.col("event", "ms").cast(pl.Int64, strict=False))
    )
    is_good = pl.col("ms").is_not_null()
    events = read.filter(is_good).with_columns(pl.col("ms").cast(TIME).alias("event_at")).select(*EVENTS)
    reasons = {"reason": "undecodable", "detail": "no event"}
    rejects = read.filter(~is_good).with_columns(
        pl.lit(None, pl.Int32).alias("schema_id"), *(pl.lit(said).alias(name) for name, said in reasons.items())
    )
    return Decoded(events, rejects.select(*REJECTS))


@dataclass(frozen=True)
class Counts:
    """What is remembered: a row a visitor."""

    counts: pl.DataFrame

    serial: int = 0
    """Grows with every step: a name stands for one content."""

    def pieces(self, partition):
        counts = self.counts.filter(pl.col("partition") == partition)
        yield Piece(f"counts.{self.serial}", lambda: counts)

    def restored(self, partition, frames):
        return Counts(pl.concat([self.without(partition).counts, *frames.values()]), self.serial)

    def without(self, partition):
        return Counts(self.counts.filter(pl.col("partition") != partition), self.serial)

    @property
    def n_open(self):
        return int((~self.counts["is_silent"]).sum())

    @property
    def n_bytes(self):
        return int(self.counts.estimated_size())


@dataclass(frozen=True)
class CountingFold:
    """One session a visitor, that never ends: `n_events` counts, `engaged_ms` adds up the events' numbers."""

    gap: timedelta = timedelta(minutes=30)
    horizon: timedelta = timedelta(hours=1)
    family = "clickstream"
    tables = ("sessions",)

    def empty(self):
        return Counts(COUNTS.to_frame())

    def told_again(self, state, partition, said):
        if "sessions" not in said:
            return {}
        known = state.counts.filter(pl.col("partition") == partition).join(said["sessions"], on="visitor_id", how="semi")
        return {"sessions": SESSIONS.conform(_rows(known, "is_silent"))}

    def step(self, state, batch, watermarks):
        before, after = advanced(batch, watermarks, timedelta())
        is_late = pl.Series(before != UNREAD) & (
            batch["event_at"].dt.epoch("ms") < pl.Series(before) - self.horizon // timedelta(milliseconds=1)
        )
        applied, late = batch.filter(~is_late), batch.filter(is_late)
        fresh = applied.group_by("partition", "visitor_id").agg(
            pl.len().cast(pl.UInt32).alias("n"),
            pl.col("event").sum().alias("total"),
            pl.col("event_at").max().alias("last_at"),
            pl.lit(value=False).alias("is_silent"),
            pl.lit(value=True).alias("is_fresh"),
        )
        known = state.counts.with_columns(pl.lit(value=False).alias("is_fresh"))
        counts = (
            pl.concat([known, fresh.select(known.columns)])
            .group_by("partition", "visitor_id", maintain_order=True)
            .agg(
                pl.col("n").sum(),
                pl.col("total").sum(),
                pl.col("last_at").max(),
                pl.col("is_silent").first(),
                pl.col("is_fresh").any(),
            )
        )
        silent = pl.Series(of_partitions(after, counts["partition"].to_numpy())) > ((counts["last_at"] + self.gap).dt.epoch("ms"))
        counts = counts.with_columns(silent.alias("now_silent"))
        told = counts.filter(pl.col("is_fresh") | (pl.col("is_silent") != pl.col("now_silent")))
        rows = _rows(told, "now_silent")
        fates = pl.concat([_fates(applied, "applied"), _fates(late, "too_late")])
        refused = late.select(
            "partition", "offset", pl.lit("too_late").alias("reason"), pl.lit("behind the watermark").alias("detail")
        )
        kept = counts.with_columns(pl.col("now_silent").alias("is_silent")).select(*COUNTS)
        return Step(
            replace(state, counts=kept, serial=state.serial + 1),
            {"sessions": SESSIONS.conform(rows)},
            refused.match_to_schema(REFUSED),
            fates,
            after,
        )


def _rows(told, is_silent):
    return told.select(
        "partition",
        "visitor_id",
        pl.lit("shop").alias("site"),
        pl.col("n").alias("n_events"),
        pl.col("total").alias("engaged_ms"),
        pl.col("last_at").alias("started_at"),
        pl.col("last_at").alias("ended_at"),
        pl.lit(0.0).alias("friction_score"),
        pl.when(is_silent).then(pl.lit("browsed")).otherwise(pl.lit("open")).alias("status"),
    )


def _fates(events, fate):
    counted = events.group_by("partition").len()
    return counted.select(
        "partition", pl.lit(fate).alias("fate"), pl.col("len").cast(pl.Int64).alias("n"), pl.lit(0, pl.Int64).alias("n_late")
    ).match_to_schema(FATES)


def counting_stage(topic, **rules):
    return Stage("counts", topic, CountingFold(**rules), decode)


class Shown:
    """What a reader of the rows topic ends up with: the newest version of every row, without what was fenced."""

    def __init__(self):
        self.rows = {}
        self.fenced = 0
        self.conflicts = []

    def read(self, messages):
        """Take all messages of one partition of the rows topic, in their order."""
        epochs = {}  # a marker is for its partition: what is newer in another has not been said there yet
        for message in messages:
            batch = Batch(message)
            about = batch.about
            newest = epochs.get(about.source, -1)
            if about.is_marker:
                epochs[about.source] = max(newest, about.epoch)
            elif about.epoch < newest:
                self.fenced += 1
            else:
                self._take(about, pl.DataFrame(pl.from_arrow(batch.rows())))
        return self

    def _take(self, about, frame):
        key = {"sessions": ("visitor_id",), "dead_letters": ("partition", "offset")}[about.table]
        for row in frame.iter_rows(named=True):
            at = (about.table, *(row[name] for name in key))
            known = self.rows.get(at)
            if known is None or row["version"] > known["version"]:
                self.rows[at] = row
            elif row["version"] == known["version"] and row != known:
                self.conflicts.append((known, row))

    def sessions(self):
        """Visitor -> (events counted, sum of their numbers)."""
        return {at[1]: (row["n_events"], row["engaged_ms"]) for at, row in self.rows.items() if at[0] == "sessions"}

    def statuses(self):
        return {at[1]: row["status"] for at, row in self.rows.items() if at[0] == "sessions"}

    def dead_letters(self):
        return [row for at, row in sorted(self.rows.items()) if at[0] == "dead_letters"]


def truth(events):
    """Visitor -> (events, sum of their numbers), of (visitor, number) pairs."""
    counted = defaultdict(lambda: [0, 0])
    for visitor, event in events:
        counted[visitor][0] += 1
        counted[visitor][1] += event
    return {visitor: tuple(sums) for visitor, sums in counted.items()}
