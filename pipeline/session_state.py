"""What the sessions fold remembers.

Frames:  PARTS, REACHED, COMMITS, LASTS, FIRED, WINDOW, RETIRED, event ids, counts: each found by a key, each row of one partition
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Self

import polars as pl

from pipeline import frames
from pipeline.event_ids import EventIds
from pipeline.journey_map import JourneyMap
from pipeline.keyed_rows import KeyedRows
from pipeline.pieces import Piece, below, within
from pipeline.rollups import Rollups
from pipeline.session_parts import COMMITS, LASTS, PARTITION, PARTS, REACHED
from pipeline.signal_engine import EVIDENCE, LOOKED_BACK_AT, WINDOW

RETIRED = frames.schema({"stream": pl.UInt64, "partition": PARTITION, "last_ms": pl.Int64})
"""Streams with an emitter's session id that have left the state: the id must not be taken for a new one."""

OF_VISITORS = ("parts", "reached", "commits", "lasts", "fired", "window")
"""What is found by `visitor_key`."""
_KEYED = (*OF_VISITORS, "retired")


@cache
def event_columns(journeys: JourneyMap) -> pl.Schema:
    """Events that signals read: WINDOW, and what the fold wants to know of one that fires."""
    return frames.schema({**WINDOW, "partition": PARTITION, **_beside(journeys)})


@cache
def window_schema(journeys: JourneyMap) -> pl.Schema:
    """The same of events that signals look back at: the others are never kept."""
    return frames.schema({**LOOKED_BACK_AT, "partition": PARTITION, **_beside(journeys)})


@cache
def fired_schema(journeys: JourneyMap) -> pl.Schema:
    """Signals that have fired in sessions that are remembered."""
    return frames.schema(
        {
            "visitor_key": pl.UInt64,
            "partition": PARTITION,
            "signal": pl.Categorical(),
            "event_ms": pl.Int64,
            **EVIDENCE,
            "weight": pl.Float64,
            **_beside(journeys),
        }
    )


def _beside(journeys: JourneyMap) -> dict[str, frames.Dtype]:
    """Which part an event belongs to, the hash of its id, and its step in each journey."""
    event = {"part": pl.UInt64, "event_key": pl.UInt64, "event_low": pl.UInt64}
    return {**event, **{name: pl.Int16 for name, _ in journeys.columns()}}


@dataclass(frozen=True)
class SessionState:
    """The memory of one fold over all partitions that are ours."""

    parts: KeyedRows
    reached: KeyedRows
    commits: KeyedRows
    lasts: KeyedRows
    fired: KeyedRows
    window: KeyedRows
    retired: KeyedRows
    ids: EventIds
    rollups: Rollups
    swept_ms: int
    """Highest watermark at the last sweep."""

    @classmethod
    def empty(cls, journeys: JourneyMap) -> "SessionState":
        """Remember nothing."""
        return cls(
            KeyedRows(PARTS, "visitor_key"),
            KeyedRows(REACHED, "visitor_key"),
            KeyedRows(COMMITS, "visitor_key"),
            KeyedRows(LASTS, "visitor_key"),
            KeyedRows(fired_schema(journeys), "visitor_key"),
            KeyedRows(window_schema(journeys), "visitor_key"),
            KeyedRows(RETIRED, "stream"),
            EventIds(),
            Rollups(),
            0,
        )

    @property
    def n_open(self) -> int:
        """Parts of sessions that have not been told as closed."""
        return sum(len(keys) for keys in self.parts.keys_where(lambda rows: ~rows["is_quiet"].to_numpy()))

    @property
    def n_bytes(self) -> int:
        """Memory of all that is remembered, about."""
        keyed: list[KeyedRows] = [getattr(self, name) for name in _KEYED]
        return sum(rows.n_bytes for rows in (*keyed, self.rollups.counts)) + self.ids.n_bytes

    def pieces(self, partition: int) -> Iterator[Piece]:
        """All that is remembered of one partition."""
        for name in (*_KEYED, "ids", "rollups"):
            yield from below(name, getattr(self, name).pieces(partition))

    def restored(self, partition: int, frames: Mapping[str, pl.DataFrame]) -> Self:
        """This state with one more partition, from its pieces."""
        fresh = self.without(partition)
        kept = {name: getattr(fresh, name).restored(within(name, frames)) for name in (*_KEYED, "ids", "rollups")}
        return replace(fresh, **kept)

    def without(self, partition: int) -> Self:
        """This state after one partition was forgotten."""
        kept = {name: getattr(self, name).kept(lambda rows: (rows["partition"] != partition).to_numpy()) for name in _KEYED}
        return replace(self, **kept, ids=self.ids.without(partition), rollups=self.rollups.without(partition))
