"""What is remembered of some visitors, taken out of the state, and what it becomes with new events.

Frames:  PARTS, REACHED, COMMITS, LASTS, FIRED, CLOSINGS, window, events in pieces -> the same
Cases:   a new event makes two parts one -> what belonged to either belongs to the one that is left
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from pipeline.hashing import Hashes
from pipeline.session_parts import (
    COMMITS,
    PLACES,
    REACHED,
    Remembered,
    by_customer,
    engaged_ms,
    lasts,
    latest,
    merged,
    pieces,
    with_stream,
)
from pipeline.session_rules import SessionRules
from pipeline.session_signals import closings_after, signals_after
from pipeline.session_state import OF_VISITORS, SessionState
from pipeline.session_views import clustered
from pipeline.signal_window import Window


def taken(state: SessionState, keys: Hashes) -> tuple[Remembered, SessionState]:
    """What is remembered of these visitors (ascending, each once), the parts with `stream`; and the state without it."""
    found, left = {}, {}
    for name in OF_VISITORS:
        found[name], left[name] = getattr(state, name).take(keys)
    found["parts"] = with_stream(found["parts"])
    return Remembered(**found), replace(state, **left)


def put_back(state: SessionState, remembered: Remembered) -> SessionState:
    """The state with this in it."""
    return replace(state, **{name: getattr(state, name).put(getattr(remembered, name)) for name in OF_VISITORS})


@dataclass(frozen=True)
class Fresh:
    """What is new."""

    events: pl.DataFrame
    """In pieces, with their steps."""
    relevant: pl.DataFrame
    """Those that count for some signal: SIFTED and the columns of a fold."""


def with_events(before: Remembered, fresh: Fresh, state: SessionState, watermarks: pl.DataFrame, rules: SessionRules) -> Remembered:
    """What is remembered of these visitors after these events; the parts with `cluster`, in order of it."""
    events = fresh.events
    parts, renamed = _joined(pl.concat([before.parts, pieces(events)]), state, rules)
    reached = pl.concat([before.reached, *(_reached(events, no, name) for no, (name, _) in enumerate(rules.journeys.columns()))])
    commits = pl.concat(
        [
            before.commits,
            *(_commits(events, no, name, journey.commit_index) for no, (name, journey) in enumerate(rules.journeys.columns())),
        ]
    )
    said_last = pl.concat([before.lasts, lasts(events)])
    reached, commits, said_last = _renamed(reached, renamed), _renamed(commits, renamed), _renamed(said_last, renamed)
    if not before.parts.is_empty():
        reached = _summed(reached)
        commits = commits.sort("ms", "tie").unique(["visitor_key", "part", "journey"], keep="first", maintain_order=True)
        said_last = latest(said_last, "visitor_key", "part")
    relevant = _renamed(fresh.relevant, renamed)
    window = Window(before.marks, _renamed(before.window, renamed), _renamed(before.wide, renamed))
    fired, window = signals_after(_renamed(before.fired, renamed), window, relevant, watermarks, rules)
    closings = closings_after(_renamed(before.closings, renamed), relevant, rules)
    return Remembered(parts, reached, commits, said_last, fired, closings, window.marks, window.window, window.wide)


def _joined(parts: pl.DataFrame, state: SessionState, rules: SessionRules) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Parts of one cluster and customer as one, in order and with `cluster`; and which part each has become: `visitor_key`, `part`, `became`."""
    parts = clustered(parts, rules)
    group, _ = by_customer(parts["cluster"].to_numpy(), parts["customer_id"])
    parts = parts.with_columns(_reuse(parts, state), pl.Series("group", group))
    whole = merged(parts, "group")
    if whole.height == parts.height:
        return parts.drop("group"), _BECAME
    became = (
        parts.select("visitor_key", "part", "group")
        .join(whole.select("group", pl.col("part").alias("became")), on="group", how="left")
        .filter(pl.col("part") != pl.col("became"))
        .drop("group")
    )
    return whole.drop("group").sort("stream", "first_ms", "part"), became


_BECAME = pl.DataFrame(schema={"visitor_key": pl.UInt64, "part": pl.UInt64, "became": pl.UInt64})
"""No part has become another."""


def _reuse(parts: pl.DataFrame, state: SessionState) -> pl.Series:
    """Whether the emitter's id of each cluster had been used before, in another cluster or one that was forgotten; parts in their order."""
    stream, cluster = parts["stream"].to_numpy(), parts["cluster"].to_numpy()
    if not len(stream):
        return parts["is_reused"]
    begins = np.flatnonzero(np.append(True, cluster[1:] != cluster[:-1]))
    of_cluster = stream[begins]
    has_id = parts["session_id"].is_not_null().to_numpy()[begins]
    is_second = np.append(False, of_cluster[1:] == of_cluster[:-1])
    gone, _ = state.retired.take(np.unique(of_cluster[has_id]))
    is_gone = np.isin(of_cluster, gone["stream"].to_numpy())
    # What was told of a cluster stays; of a new one it is asked.
    was_reused, was_told = parts["is_reused"].to_numpy(), parts["sent_ms"].is_not_null().to_numpy()
    was_told_plain, was_told_reused = (np.logical_or.reduceat(is_so, begins) for is_so in (was_told & ~was_reused, was_reused))
    is_reused = ~was_told_plain & (was_told_reused | (has_id & (is_second | is_gone)))
    return pl.Series("is_reused", is_reused[cluster])


def _reached(events: pl.DataFrame, no: int, column: str) -> pl.DataFrame:
    """Steps of one journey that these events belong to. Frames: -> REACHED."""
    return (
        events.select("piece", "part", "visitor_key", "partition", "event_ms", "engaged_ms", column)
        .filter(pl.col(column).is_not_null())
        .group_by("piece", column)
        .agg(
            pl.col("part").first(),
            pl.col("visitor_key").first(),
            pl.col("partition").first(),
            pl.col("event_ms").min().alias("first_ms"),
            pl.col("event_ms").max().alias("last_ms"),
            pl.len().alias("n_events"),
            engaged_ms(),
        )
        .with_columns((pl.col(column) + no * PLACES).alias("place"))
        .select(pl.col(name).cast(dtype) for name, dtype in REACHED.items())
    )


def _summed(reached: pl.DataFrame) -> pl.DataFrame:
    return (
        reached.group_by("visitor_key", "part", "place")
        .agg(
            pl.col("partition").first(),
            pl.col("first_ms").min(),
            pl.col("last_ms").max(),
            pl.col("n_events").sum(),
            engaged_ms(),
        )
        .select(REACHED.names())
    )


def _commits(events: pl.DataFrame, no: int, column: str, commit: int) -> pl.DataFrame:
    """The first event of each part from the commit step of one journey on. Frames: -> COMMITS."""
    return (
        events.select("piece", "part", "visitor_key", "partition", "event_ms", "tie", "event_key", "event_low", column)
        .filter(pl.col(column) >= commit)
        .unique("piece", keep="first", maintain_order=True)  # in the order of the events: the first row is the first event
        .with_columns(
            pl.lit(no, dtype=pl.Int16).alias("journey"),
            pl.col("event_ms").alias("ms"),
            pl.col("event_key").alias("high"),
            pl.col("event_low").alias("low"),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in COMMITS.items())
    )


def _renamed(rows: pl.DataFrame, became: pl.DataFrame) -> pl.DataFrame:
    if became.is_empty() or rows.is_empty():
        return rows
    part = (
        rows.select("visitor_key", "part")
        .join(became, on=["visitor_key", "part"], how="left", maintain_order="left")
        .select(pl.coalesce("became", "part").alias("part"))
    )
    return rows.with_columns(part["part"])
