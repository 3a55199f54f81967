"""What the sessions fold remembers.

Frames:  PARTS, REACHED, COMMITS, LASTS, FIRED, WINDOW, CLOSINGS, RETIRED, event ids, counts: each found by a key, each row of one partition
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

import polars as pl

from pipeline import frames
from pipeline.event_ids import EventIds
from pipeline.journey_map import JourneyMap
from pipeline.keyed_rows import KeyedRows
from pipeline.pieces import Piece, below, within
from pipeline.rollups import Rollups
from pipeline.session_frames import closings_schema, fired_schema, looked_back_at
from pipeline.session_parts import COMMITS, LASTS, PARTITION, PARTS, REACHED
from pipeline.signal_window import window_schemas

RETIRED = frames.schema({"stream": pl.UInt64, "partition": PARTITION, "last_ms": pl.Int64})
"""Streams with an emitter's session id that have left the state: the id must not be taken for a new one."""

OF_VISITORS = ("parts", "reached", "commits", "lasts", "fired", "closings", "marks", "window", "wide")
"""What is found by `visitor_key`."""
_KEYED = (*OF_VISITORS, "retired")


@dataclass(frozen=True)
class SessionState:
    """The memory of one fold over all partitions that are ours."""

    parts: KeyedRows
    reached: KeyedRows
    commits: KeyedRows
    lasts: KeyedRows
    fired: KeyedRows
    closings: KeyedRows
    marks: KeyedRows
    window: KeyedRows
    wide: KeyedRows
    retired: KeyedRows
    ids: EventIds
    rollups: Rollups
    swept_ms: int
    """Highest watermark at the last sweep."""

    @classmethod
    def empty(cls, journeys: JourneyMap) -> "SessionState":
        """Remember nothing."""
        window = window_schemas(looked_back_at(journeys))
        return cls(
            KeyedRows(PARTS, "visitor_key"),
            KeyedRows(REACHED, "visitor_key"),
            KeyedRows(COMMITS, "visitor_key"),
            KeyedRows(LASTS, "visitor_key"),
            KeyedRows(fired_schema(journeys), "visitor_key"),
            KeyedRows(closings_schema(journeys), "visitor_key"),
            KeyedRows(window["marks"], "visitor_key"),
            KeyedRows(window["window"], "visitor_key"),
            KeyedRows(window["wide"], "visitor_key"),
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
