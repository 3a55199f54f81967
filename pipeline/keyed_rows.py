"""Rows of state found by key, for a million entities of which a step touches a few.

A frame that is rewritten whole in every step costs 0.09 s at a million rows (measured). So rows stand in sorted runs, as in a log-structured
merge tree: a step takes the rows of the keys it touches out (they are only marked), and puts what became of them back as a new small run;
runs of like size are merged, so that each row is rewritten a few times in its life.

A run never changes but for which of its rows are alive, so it is kept once (see pieces.py); its serial names it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.hashing import Hashes
from pipeline.pieces import Piece
from pipeline.strings import owned

Mask = NDArray[np.bool_]

_GROWTH = 4
"""A run is merged into its neighbour unless that is so many times larger."""
_ALIVE = "alive"
"""Last word but one of the name of a piece that says which rows of a run are alive; the last one is how many, for they only get fewer."""


@dataclass(frozen=True)
class _Run:
    serial: int
    """No two runs of a state have the same."""
    keys: Hashes
    """Ascending."""
    rows: pl.DataFrame
    alive: Mask
    n_alive: int

    @classmethod
    def of(cls, rows: pl.DataFrame, key: str, serial: int) -> "_Run":
        return cls.as_they_are(rows if rows[key].is_sorted() else rows.sort(key), key, serial).owned()

    @classmethod
    def joined(cls, runs: Sequence["_Run"], key: str, serial: int) -> "_Run":
        """The living rows of several runs: their keys say the order, and every row is copied once."""
        places = [np.flatnonzero(run.alive) for run in runs]
        begins = np.cumsum([0, *(len(run.keys) for run in runs[:-1])])
        order = np.argsort(np.concatenate([run.keys[at] for run, at in zip(runs, places, strict=True)]), kind="stable")
        rows = np.concatenate([at + begin for at, begin in zip(places, begins, strict=True)])[order]
        return cls.as_they_are(pl.concat([run.rows for run in runs], rechunk=False)[rows], key, serial).owned()

    @classmethod
    def as_they_are(cls, rows: pl.DataFrame, key: str, serial: int) -> "_Run":
        return cls(serial, rows[key].to_numpy(), rows, np.ones(rows.height, dtype=bool), rows.height)

    def owned(self) -> "_Run":
        # Strings are views: without copies a row would keep the whole batch alive that it came in, and a dead one its string.
        return replace(self, rows=owned(self.rows))

    def places(self, keys: Hashes) -> NDArray[np.int64]:
        """Rows of these keys that are alive."""
        begins = np.searchsorted(self.keys, keys, side="left")
        found = np.flatnonzero(self.keys.take(begins, mode="clip") == keys)
        begins = begins[found]
        counts = np.searchsorted(self.keys, keys[found], side="right") - begins
        starts = np.cumsum(counts) - counts
        places: NDArray[np.int64] = np.arange(counts.sum()) - np.repeat(starts - begins, counts)
        living: NDArray[np.int64] = places[self.alive[places]]
        return living

    def without(self, places: NDArray[np.int64]) -> "_Run":
        alive = self.alive.copy()
        alive[places] = False
        return replace(self, alive=alive, n_alive=self.n_alive - len(places))

    def living(self) -> pl.DataFrame:
        return self.rows if self.n_alive == self.rows.height else self.rows.filter(pl.Series(self.alive))

    def pieces(self, partition: int) -> Iterator[Piece]:
        is_its = (self.rows["partition"] == partition).to_numpy()
        alive = self.alive[is_its]
        n_alive = int(np.count_nonzero(alive))
        if n_alive:
            yield Piece(str(self.serial), lambda: self.rows.filter(pl.Series(is_its)))
        if 0 < n_alive < len(alive):
            yield Piece(f"{self.serial}.{_ALIVE}.{n_alive}", lambda: pl.DataFrame({"bits": np.packbits(alive)}))


@dataclass(frozen=True)
class KeyedRows:
    """An immutable set of rows with a UInt64 key that several may share."""

    schema: pl.Schema
    key: str
    runs: tuple[_Run, ...] = ()
    next_serial: int = 0

    @property
    def height(self) -> int:
        """How many rows there are."""
        return sum(run.n_alive for run in self.runs)

    @property
    def n_bytes(self) -> int:
        """Memory of all rows, about: those that were taken out stay until their run is merged."""
        return sum(int(run.rows.estimated_size()) + run.keys.nbytes + run.alive.nbytes for run in self.runs)

    def frame(self) -> pl.DataFrame:
        """All rows, in no order."""
        return self._together([run.living() for run in self.runs])

    def columns(self, *names: str) -> pl.DataFrame:
        """Some columns of all rows, in no order."""
        some = [replace(run, rows=run.rows.select(names)).living() for run in self.runs]
        return pl.concat(some) if some else self.schema.to_frame().select(names)

    def find(self, keys: Hashes) -> tuple[pl.DataFrame, NDArray[np.int64]]:
        """The rows of these keys (ascending, each once), and of each where it stands: over all runs, as long as this set is as it is."""
        found, places, begin = [], [np.zeros(0, dtype=np.int64)], 0
        for run in self.runs:
            here = run.places(keys)
            if len(here):
                found.append(run.rows[here])
                places.append(here + begin)
            begin += len(run.keys)
        return self._together(found), np.concatenate(places)

    def without(self, places: NDArray[np.int64]) -> "KeyedRows":
        """What is left without the rows that stand at these places."""
        left, begin = [], 0
        for run in self.runs:
            here = places[(places >= begin) & (places < begin + len(run.keys))] - begin
            begin += len(run.keys)
            rest = run.without(here) if len(here) else run
            if rest.n_alive:
                left.append(rest)
        return replace(self, runs=tuple(left))

    def take(self, keys: Hashes) -> tuple[pl.DataFrame, "KeyedRows"]:
        """The rows of these keys (ascending, each once), and what is left without them."""
        found, places = self.find(keys)
        return found, self.without(places)

    def has(self, keys: Hashes) -> Mask:
        """Of which of these keys (ascending, each once) there are rows."""
        found = np.zeros(len(keys), dtype=bool)
        for run in self.runs:
            found[np.searchsorted(keys, run.keys[run.places(keys)])] = True
        return found

    def put(self, rows: pl.DataFrame) -> "KeyedRows":
        """These rows as well; the columns may stand in any order."""
        if rows.is_empty():
            return self
        serial = self.next_serial
        # First how far it goes, then all at once: every row is copied once.
        begin, size = len(self.runs), rows.height
        while begin and self.runs[begin - 1].n_alive < _GROWTH * size:
            begin -= 1
            size += self.runs[begin].n_alive
        rows = rows.select(self.schema.names())
        if begin < len(self.runs):
            # Sorted only by joining: the keys alone are looked at.
            fresh = _Run.as_they_are(rows, self.key, serial)
            run = _Run.joined([*self.runs[begin:], fresh], self.key, serial)
        else:
            run = _Run.of(rows, self.key, serial)
        return self._with([*self.runs[:begin], run], serial + 1)

    def keys_where(self, wanted: Callable[[pl.DataFrame], Mask]) -> Iterator[Hashes]:
        """Keys of the living rows that are wanted, run after run."""
        for run in self.runs:
            yield run.keys[wanted(run.rows) & run.alive]

    def kept(self, wanted: Callable[[pl.DataFrame], Mask]) -> "KeyedRows":
        """Only the rows that are wanted."""
        kept = []
        for run in self.runs:
            unwanted = np.flatnonzero(run.alive)[~wanted(run.living())]
            kept.append(run.without(unwanted) if len(unwanted) else run)
        return self._with(kept, self.next_serial)

    def _together(self, rows: Sequence[pl.DataFrame]) -> pl.DataFrame:
        if len(rows) == 1:
            return rows[0]
        return pl.concat(rows) if rows else self.schema.to_frame()

    def _with(self, runs: Sequence[_Run], serial: int) -> "KeyedRows":
        """Only these runs; one of which more than half is dead is written anew, without what is dead."""
        kept = []
        for run in runs:
            if 2 * run.n_alive >= run.rows.height:
                kept.append(run)
            elif run.n_alive:
                kept.append(_Run.of(run.living(), self.key, serial))
                serial += 1
        return replace(self, runs=tuple(kept), next_serial=serial)

    def pieces(self, partition: int) -> Iterator[Piece]:
        """What there is of one partition: the rows of each run, dead ones among them, and which of them are alive."""
        for run in self.runs:
            yield from run.pieces(partition)

    def restored(self, frames: Mapping[str, pl.DataFrame]) -> "KeyedRows":
        """These as well, from pieces, each run as it was; a column that was not kept then is null. Merging can wait until rows are put."""
        added = []
        for serial, (rows, alive) in enumerate(_runs(frames), self.next_serial):
            assert rows[self.key].is_sorted(), f"rows are kept in the order of {self.key}"
            columns = [
                pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype).alias(name)
                for name, dtype in self.schema.items()
            ]
            run = _Run.as_they_are(rows.select(columns), self.key, serial)
            added.append(run.without(np.flatnonzero(~alive)))
        return replace(self, runs=(*self.runs, *added), next_serial=self.next_serial + len(added))


def living(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame | None:
    """The living rows of all runs that the pieces hold; None: there are no pieces."""
    rows = [rows.filter(pl.Series(alive)) for rows, alive in _runs(frames)]
    return pl.concat(rows) if rows else None


def _runs(frames: Mapping[str, pl.DataFrame]) -> Iterator[tuple[pl.DataFrame, Mask]]:
    """The rows of each run, and which of them are alive."""
    masks = {name.partition(".")[0]: bits["bits"].to_numpy() for name, bits in frames.items() if f".{_ALIVE}." in name}
    for name, rows in frames.items():
        if "." not in name:
            bits = masks.get(name)
            alive = np.ones(rows.height, bool) if bits is None else np.unpackbits(bits, count=rows.height).astype(bool)
            yield rows, alive
