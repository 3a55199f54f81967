"""Counts of slow things: of each entity is kept what it contributed last, so that whatever changes it moves the counts.

An entity may be told otherwise because of an event, of time, of somebody who left, of other rules, or of another version of this program: what it
contributed stands written, and is taken away as it was given.

Frames:  CONTRIBUTIONS with `entity` -> COUNTED
Time:    a count is frozen some time after its interval and the longest wait of its expectation (CountedFor), by the watermark of the last sweep: neither corrected nor
         remembered. So a step in which much time passes at once still counts what was decided in it
Cases:   an entity is forgotten -> its counts stay
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.count_rules import CountedFor
from pipeline.frames import schema
from pipeline.hashing import Hashes
from pipeline.keyed_rows import KeyedRows
from pipeline.pieces import Piece, below, within
from pipeline.rollups import Rollups, keyed
from pipeline.watermark import UNREAD, in_ms, milliseconds

GIVEN = schema({"entity": pl.UInt64, "partition": pl.Int32, "key": pl.UInt64, "matures_ms": pl.Int64, "n": pl.Int64})
"""What an entity contributed last. `key`: of the count."""

_PARTS, _FROZEN = ("rollups", "given"), "frozen"


@dataclass(frozen=True)
class Tally:
    """The counts, and who contributed what."""

    rollups: Rollups = field(default_factory=Rollups)
    given: KeyedRows = field(default_factory=lambda: KeyedRows(GIVEN, "entity"))
    frozen_at: Mapping[int, int] = field(default_factory=dict)
    """Partition -> its watermark in ms when counts were frozen last."""

    @property
    def n_bytes(self) -> int:
        """Memory it takes, about."""
        return self.rollups.counts.n_bytes + self.given.n_bytes

    def told(self, entities: Hashes, contributions: pl.DataFrame, until: CountedFor) -> tuple["Tally", pl.DataFrame]:
        """After these entities (ascending, each once) contribute this and nothing else; and the counts that changed. Frames: CONTRIBUTIONS, `entity` -> COUNTED."""
        counts = self.rollups.cut_by(until.cut, contributions)
        was, left = self.given.take(entities)
        added = keyed(contributions)
        keys, place = np.unique(np.concatenate([was["key"].to_numpy(), added["key"].to_numpy()]), return_inverse=True)
        is_counted, is_known = np.split(counts.counts.has(keys)[place], [was.height])
        was = _of(was, is_counted)  # what is frozen is not
        added = _of(added, is_known | self._is_open(added, until))
        given = added.group_by("entity", "partition", "key", "matures_ms").agg(pl.col("n").sum()).select(GIVEN.names())
        change = (
            pl.concat([was.with_columns(-pl.col("n")), given])
            .group_by("key", "matures_ms")
            .agg(pl.col("n").sum())
            .filter(pl.col("n") != 0)
        )
        rollups, changed = counts.changed(change, added)
        return replace(self, rollups=rollups, given=left.put(given)), changed

    def swept(self, gone: Hashes, watermarks: pl.DataFrame, until: CountedFor) -> "Tally":
        """After these entities (ascending, each once) were forgotten, and what is frozen by now."""
        reached = zip(watermarks["partition"].to_list(), in_ms(watermarks["watermark"]).tolist(), strict=True)
        given = self.given.take(gone)[1] if len(gone) else self.given
        later = replace(self, given=given, frozen_at={**self.frozen_at, **dict(reached)})
        return replace(later, rollups=later.open_ones(until))

    def open_ones(self, until: CountedFor) -> Rollups:
        """The counts that are not frozen."""
        return replace(self.rollups, counts=self.rollups.counts.kept(lambda counts: self._is_open(counts, until)))

    def _is_open(self, counts: pl.DataFrame, until: CountedFor) -> NDArray[np.bool_]:
        """Which counts can still change. Frames: SEGMENT."""
        interval_ms, memory_ms = counts["interval_ms"].to_numpy(), milliseconds(until.memory)
        if (interval_ms >= max(self.frozen_at.values(), default=UNREAD) - memory_ms).all():
            return np.ones(len(interval_ms), dtype=bool)
        spans = {name: milliseconds(span) for name, span in until.waits.items()}
        wait_ms = counts["expectation"].cast(pl.String).replace_strict(spans, default=0, return_dtype=pl.Int64)
        until_ms = interval_ms + wait_ms.to_numpy() + memory_ms
        frozen_ms = counts["partition"].replace_strict(dict(self.frozen_at), default=UNREAD, return_dtype=pl.Int64)
        is_open: NDArray[np.bool_] = frozen_ms.to_numpy() <= until_ms
        return is_open

    def without(self, partition: int) -> Self:
        """After one partition was forgotten."""
        given = self.given.kept(lambda rows: (rows["partition"] != partition).to_numpy())
        marks = {at: ms for at, ms in self.frozen_at.items() if at != partition}
        return replace(self, rollups=self.rollups.without(partition), given=given, frozen_at=marks)

    def pieces(self, partition: int) -> Iterator[Piece]:
        """What there is of one partition."""
        for name in _PARTS:
            yield from below(name, getattr(self, name).pieces(partition))
        if partition in self.frozen_at:
            ms = self.frozen_at[partition]
            yield Piece(f"{_FROZEN}.{ms}", lambda: pl.DataFrame({"partition": [partition], "ms": [ms]}))

    def restored(self, frames: Mapping[str, pl.DataFrame]) -> Self:
        """These as well, from pieces."""
        kept = {name: getattr(self, name).restored(within(name, frames)) for name in _PARTS}
        marks = {at: ms for frame in within(_FROZEN, frames).values() for at, ms in frame.iter_rows()}
        return replace(self, **kept, frozen_at={**self.frozen_at, **marks})


def _of(rows: pl.DataFrame, wanted: NDArray[np.bool_]) -> pl.DataFrame:
    return rows if wanted.all() else rows.filter(pl.Series(wanted))
