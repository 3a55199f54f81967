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
from pipeline.session_parts import COMMITS, LASTS, PARTS, REACHED
from pipeline.signal_engine import EVIDENCE, WINDOW

RETIRED = frames.schema({"stream": pl.UInt64, "partition": pl.Int32, "last_ms": pl.Int64})
"""Streams with an emitter's session id that have left the state: the id must not be taken for a new one."""

OF_VISITORS = ("parts", "reached", "commits", "lasts", "fired", "window")
"""What is found by `visitor_key`."""
_KEYED = (*OF_VISITORS, "retired")


@cache
def window_schema(journeys: JourneyMap) -> pl.Schema:
    """Events that signals look back at: WINDOW, which part each belongs to, and its step in each journey."""
    return frames.schema({**WINDOW, "part": pl.UInt64, **{name: pl.Int16 for name, _ in journeys.columns()}})


@cache
def fired_schema(journeys: JourneyMap) -> pl.Schema:
    """Signals that have fired in sessions that are remembered."""
    return frames.schema(
        {
            "visitor_key": pl.UInt64,
            "partition": pl.Int32,
            "part": pl.UInt64,
            "signal": pl.Categorical(),
            "signal_id": pl.String,
            "site": pl.Categorical(),
            "visitor_id": pl.String,
            "event_ms": pl.Int64,
            **EVIDENCE,
            "weight": pl.Float64,
            **{name: pl.Int16 for name, _ in journeys.columns()},
        }
    )


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
