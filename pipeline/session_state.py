"""What the sessions fold remembers.

Frames:  PARTS, REACHED, COMMITS, LASTS, FIRED, WINDOW, CLOSINGS, RETIRED, event ids, counts: each found by a key, each row of one partition
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import polars as pl

from pipeline import frames
from pipeline.definitions import AnySignal
from pipeline.event_ids import EventIds
from pipeline.journey_map import JourneyMap
from pipeline.keyed_rows import KeyedRows
from pipeline.own_signals import Meanings, meanings, translated
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
_LOOKED_BACK_AT = ("marks", "window", "wide")
_MEANINGS = "meanings"
_MEANING = pl.Schema({"place": pl.UInt8, "meaning": pl.String})


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
    meanings: Meanings = field(default_factory=dict)
    """What the bits of users' own signals mean, in the events that are looked back at."""

    @classmethod
    def empty(cls, journeys: JourneyMap, signals: Sequence[AnySignal] = ()) -> "SessionState":
        """Remember nothing; `signals` are those that will be looked for."""
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
            meanings(signals),
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
        if self.meanings:  # they never change in a state
            yield Piece(f"{_MEANINGS}.0", lambda: pl.DataFrame(list(self.meanings.items()), schema=_MEANING, orient="row"))

    def restored(self, partition: int, frames: Mapping[str, pl.DataFrame]) -> Self:
        """This state with one more partition, from its pieces."""
        fresh = self.without(partition)
        found = {name: within(name, frames) for name in (*_KEYED, "ids", "rollups")}
        for name in _LOOKED_BACK_AT:
            found[name] = self._translated(found[name], within(_MEANINGS, frames))
        kept = {name: getattr(fresh, name).restored(pieces) for name, pieces in found.items()}
        return replace(fresh, **kept)

    def _translated(self, pieces: dict[str, pl.DataFrame], said: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """Events that were kept under other settings."""
        was = {place: meaning for frame in said.values() for place, meaning in frame.iter_rows()}
        if was == self.meanings:
            return pieces
        bits = translated(pl.col("counted"), was, self.meanings)
        return {name: rows.with_columns(bits) if "counted" in rows.columns else rows for name, rows in pieces.items()}

    def without(self, partition: int) -> Self:
        """This state after one partition was forgotten."""
        kept = {name: getattr(self, name).kept(lambda rows: (rows["partition"] != partition).to_numpy()) for name in _KEYED}
        return replace(self, **kept, ids=self.ids.without(partition), rollups=self.rollups.without(partition))
