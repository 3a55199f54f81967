"""Which events have been applied, so that a repeat changes nothing: 128 bits an event, for as long as a repeat can be applied.

Ids stand in sorted runs that grow by merging (see keyed_rows.py), and are forgotten when events of their time would be too late.
What is forgotten need not be gone, for every look-up asks for the time: a run is rewritten once most of it is forgotten.
The partition is part of an id: what a worker holds beside it must not matter.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline import frames
from pipeline.hashing import Hashes
from pipeline.pieces import Piece
from pipeline.watermark import UNREAD, Millis

SCHEMA = frames.schema({"partition": pl.Int32, "high": pl.UInt64, "low": pl.UInt64, "event_ms": pl.Int64})

_GROWTH = 4
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class _Ids:
    high: Hashes
    """Ascending."""
    low: Hashes
    event_ms: Millis
    partition: NDArray[np.int32]
    serial: int = -1
    """No two runs of a state have the same; -1: not in a state yet."""

    def __len__(self) -> int:
        return len(self.high)

    def at(self, places: NDArray[np.int64] | NDArray[np.bool_]) -> "_Ids":
        return _Ids(self.high[places], self.low[places], self.event_ms[places], self.partition[places])

    def sorted(self) -> "_Ids":
        return self.at(np.argsort(self.high, kind="stable"))  # merges runs that are sorted already

    def joined(self, other: "_Ids") -> "_Ids":
        pairs = ((self.high, other.high), (self.low, other.low), (self.event_ms, other.event_ms), (self.partition, other.partition))
        return _Ids(*(np.concatenate(pair) for pair in pairs)).sorted()  # type: ignore[arg-type]  # in the order of the fields

    def found(self, high: Hashes, low: Hashes) -> Millis:
        """The time kept with each id, UNREAD where it is not here."""
        # Of an id that was kept twice, the first time forgotten, the newest stands last.
        places = np.maximum(np.searchsorted(self.high, high, side="right") - 1, 0)
        is_here = (self.high[places] == high) & (self.low[places] == low)
        times: Millis = np.where(is_here, self.event_ms[places], UNREAD)
        return times


@dataclass(frozen=True)
class EventIds:
    """Ids of applied events."""

    runs: tuple[_Ids, ...] = ()
    """In the order of their age."""
    next_serial: int = 0

    def __len__(self) -> int:
        """How many are kept, with some that are forgotten."""
        return sum(map(len, self.runs))

    @property
    def n_bytes(self) -> int:
        """Memory of all ids."""
        return len(self) * 28

    def fresh(
        self, partition: NDArray[np.int32], high: Hashes, low: Hashes, event_ms: Millis, forgotten_ms: Millis
    ) -> NDArray[np.bool_]:
        """Whether each event is the first of its id: not kept, and not further up in these rows.

        `forgotten_ms`: for each row the time before which ids are forgotten when it comes; what memory still holds of them must not matter.
        """
        high = apart(partition, high)
        order = np.argsort(
            high, kind="stable"
        )  # of equal ids the first row stands first; `low` differs where two ids share a `high`, one time in 2**64
        kept_ms = np.full(len(high), UNREAD, dtype=np.int64)
        for run in self.runs:
            # Sorted look-ups walk through memory in one direction.
            kept_ms[order] = np.maximum(kept_ms[order], run.found(high[order], low[order]))
        again = np.zeros(len(high), dtype=bool)
        again[1:] = (high[order][1:] == high[order][:-1]) & (low[order][1:] == low[order][:-1])
        fresh = np.ones(len(high), dtype=bool)
        # Repeats are few: they are gone through one by one.
        begins_group = again.copy()
        begins_group[:-1] |= again[1:]
        last_ms = UNREAD
        for place in np.flatnonzero(begins_group | (kept_ms[order] != UNREAD)).tolist():
            row = order[place]
            last_ms = max(last_ms, int(kept_ms[row])) if again[place] else int(kept_ms[row])
            if last_ms != UNREAD and last_ms >= forgotten_ms[row]:
                fresh[row] = False
            else:
                last_ms = int(event_ms[row])
        return fresh

    def put(
        self, partition: NDArray[np.int32], high: Hashes, low: Hashes, event_ms: Millis, forgotten: Mapping[int, int]
    ) -> "EventIds":
        """Keep these as well. `forgotten`: partition -> ms before which an event would be too late."""
        if not len(high):
            return self
        runs = [*self.runs, _Ids(apart(partition, high), low, event_ms, partition).sorted()]
        while len(runs) > 1 and len(runs[-2]) < _GROWTH * len(runs[-1]):
            last, before = runs.pop(), runs.pop()
            joined = before.joined(last)
            runs.append(joined.at(~_is_old(joined, forgotten)))
        serials = (run.serial if run.serial >= 0 else self.next_serial for run in runs)  # only the last one is new
        return EventIds(
            tuple(replace(run, serial=serial) for run, serial in zip(runs, serials, strict=True) if len(run)), self.next_serial + 1
        )

    def swept(self, forgotten: Mapping[int, int]) -> "EventIds":
        """Without most of what can meet no repeat."""
        return self._rewritten(
            {run.serial: is_old for run in self.runs if 2 * np.count_nonzero(is_old := _is_old(run, forgotten)) > len(run)}
        )

    def pieces(self, partition: int) -> Iterator[Piece]:
        """Those of one partition. Frames: -> SCHEMA."""
        for run in self.runs:
            is_its = run.partition == partition
            if is_its.any():
                yield Piece(str(run.serial), lambda run=run, is_its=is_its: _framed(run.at(is_its)))  # type: ignore[misc]  # mypy infers no lambda with a default

    def restored(self, frames: Mapping[str, pl.DataFrame]) -> "EventIds":
        """These as well, from pieces. Frames: SCHEMA."""
        added = [
            _Ids(ids["high"].to_numpy(), ids["low"].to_numpy(), ids["event_ms"].to_numpy(), ids["partition"].to_numpy(), serial)
            for serial, ids in enumerate(frames.values(), self.next_serial)
        ]
        return EventIds((*self.runs, *added), self.next_serial + len(added))

    def without(self, partition: int) -> "EventIds":
        """Those of the other partitions; the others are gone indeed: what comes back from a checkpoint may be less."""
        return self._rewritten({run.serial: is_its for run in self.runs if (is_its := run.partition == partition).any()})

    def _rewritten(self, gone: Mapping[int, NDArray[np.bool_]]) -> "EventIds":
        """With these runs, by serial, replaced by what is not gone of them."""
        kept, serial = [], self.next_serial
        for run in self.runs:
            if run.serial in gone:
                kept.append(replace(run.at(~gone[run.serial]), serial=serial))
                serial += 1
            else:
                kept.append(run)
        return EventIds(tuple(run for run in kept if len(run)), serial)


def _framed(ids: _Ids) -> pl.DataFrame:
    return pl.DataFrame([ids.partition, ids.high, ids.low, ids.event_ms], schema=SCHEMA)


def apart(partition: NDArray[np.int32], hashes: Hashes) -> Hashes:
    """The hashes, different in each partition."""
    with np.errstate(over="ignore"):
        spread: Hashes = hashes ^ (partition.astype(np.uint64) + np.uint64(1)) * _SPREAD
        return spread


def _is_old(ids: _Ids, forgotten: Mapping[int, int]) -> NDArray[np.bool_]:
    old = np.zeros(len(ids), dtype=bool)
    for partition, before_ms in forgotten.items():
        old |= (ids.partition == partition) & (ids.event_ms < before_ms)
    return old
