"""Simulated clicks in perfect order, and on a topic: what all benchmarks that need real events read.

Perfect order, because the plain agent knows no other: by `event_at`, ties as the fold breaks them, on time and once.
"""

from datetime import UTC, datetime, timedelta

import polars as pl

from agents.emitter import Emitter
from agents.partitioner import partition_of
from pipeline.hashing import hash64
from pipeline.ordering import ties
from pipeline.simulator.disorder import Disorder
from pipeline.simulator.simulator import Simulator
from schemas.contracts import local_registry

START_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""A Monday morning that is over: brokers refuse records from the future."""
VISITORS_PER_DAY = 160_000
"""About 6 million events a day, 1,600,000 in six hours and a half."""
PARTITIONS = 4
SCHEMA_ID = next(schema_id for schema_id, told in local_registry().items() if told == ("clickstream", 1))


def clicks(n: int, visitors_per_day: float = VISITORS_PER_DAY) -> pl.DataFrame:
    """The first so many events. Frames: -> event_schema("clickstream") and `record_at`"""
    simulator = Simulator(7, START_AT, visitors_per_day=visitors_per_day, disorder=Disorder(late=0.0, twice=0.0))
    events = pl.concat(list(simulator.slices(timedelta(minutes=30), n_events=n)))
    return in_order(events.with_columns(pl.col("event_at").alias("record_at")))


def in_order(events: pl.DataFrame) -> pl.DataFrame:
    """As the fold orders the events of a visitor."""
    tie = ties(events["sequence"], hash64(events["event_id"]))
    return events.with_columns(tie.alias("tie")).sort("event_at", "tie", maintain_order=True).drop("tie")


def of_some_visitors(events: pl.DataFrame, n: int) -> pl.DataFrame:
    """About so many of the events: all those of some visitors."""
    share = max(1, events.height // n)
    return events.filter(pl.Series(hash64(events["visitor_id"]) % share == 0))


def with_an_end(events: pl.DataFrame) -> pl.DataFrame:
    """And one more event in each partition, two hours later, so that every session before it has ended."""
    names = [f"the-last-{number}" for number in range(1_000)]
    last = {partition_of(name.encode(), PARTITIONS): name for name in names}
    end_at = events["event_at"].max() + timedelta(hours=2)  # type: ignore[operator]  # a column of times
    ends = pl.DataFrame({"visitor_id": list(last.values()), "event_id": list(last.values())}).with_columns(
        pl.lit("page_view").alias("event_type"),
        pl.lit("the-end").alias("site"),
        *(pl.lit(end_at, dtype=events.schema[name]).alias(name) for name in ("event_at", "record_at")),
    )
    assert ends.height == PARTITIONS
    return pl.concat([events, ends], how="diagonal").select(events.columns)


def put(events: pl.DataFrame, bootstrap: str, topic: str) -> None:
    """On a topic, by visitor, in this order; not compressed, for the library of the plain agent knows gzip alone by itself."""
    emitter = Emitter(bootstrap, topic, SCHEMA_ID, {"compression.type": "none"})
    for piece in events.iter_slices(50_000):
        emitter.send(piece)
    emitter.flush()
