"""What the fold of spikes remembers: counts that are still to be judged, series by family, alerts, and what stands beside them.

Frames:  COUNTED, SERIES (a row a series), ALERT, RAISED, KEPT_EXAMPLES
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import polars as pl

from pipeline.keyed_rows import KeyedRows
from pipeline.many_baselines import Arrays, made
from pipeline.pieces import Piece, below, within
from pipeline.rate_series import SERIES
from pipeline.series_pieces import cut, groups, put, same
from pipeline.spike_alerts import ALERT, Alert, kept, restored
from pipeline.spike_counts import COUNTED, IDENTITY, Family, Ripeness
from pipeline.spike_evidence import KEPT_EXAMPLES, RAISED

KNOWN = pl.Schema(dict.fromkeys(IDENTITY, pl.String))
KNOWN_NAME = "known"


@dataclass(frozen=True)
class Series:
    """The series of one family: who they are, and what is remembered of each, in the same order."""

    known: pl.DataFrame = field(default_factory=KNOWN.to_frame)
    its: Arrays = field(default_factory=lambda: made(SERIES, 0))
    ripeness: Ripeness = field(default_factory=Ripeness)
    due_ms: int | None = None
    """From when on an interval can be judged; None: that must be looked up."""
    serial: int = 0
    """Counts what was judged."""
    serials: Mapping[str, int] = field(default_factory=dict)
    """Of each group of what is remembered (series_pieces.py), when it changed last: names its piece."""

    def kept(self, before: "Series") -> "Series":
        """After an interval, of which it is noted what has changed."""
        serial, n = self.serial + 1, self.known.height
        is_anew = not self.known.equals(before.known)
        serials = {
            name: serial if is_anew or not same(self.its, before.its, group) else before.serials.get(name, serial)
            for name, group in groups(n).items()
        }
        return replace(
            self, serial=serial, serials={**serials, KNOWN_NAME: serial if is_anew else before.serials.get(KNOWN_NAME, serial)}
        )

    def pieces(self) -> Iterator[Piece]:
        """What is remembered of them."""
        yield Piece(f"{KNOWN_NAME}.{self.serials.get(KNOWN_NAME, 0)}", lambda: self.known)
        for name, group in groups(self.known.height).items():
            yield Piece(f"{name}.{self.serials.get(name, 0)}", lambda group=group: cut(self.its, group))  # type: ignore[misc]  # mypy infers no lambda with a default

    @classmethod
    def of(cls, frames: Mapping[str, pl.DataFrame]) -> "Series":
        """From pieces."""
        found = {name.partition(".")[0]: (int(name.partition(".")[2]), kept) for name, kept in frames.items()}
        known = found[KNOWN_NAME][1]
        its = made(SERIES, known.height)
        for name, group in groups(known.height).items():
            put(its, group, found[name][1])
        serials = {name: serial for name, (serial, _) in found.items()}
        return cls(known, its, serial=max(serials.values()), serials=serials)

    @property
    def n_bytes(self) -> int:
        """Memory, about."""
        return sum(part.nbytes for part in self.its.values()) + int(self.known.estimated_size())


def more(its: Arrays, n: int) -> Arrays:
    """These and so many new ones: a copy, which may be changed."""
    fresh = made(SERIES, n)
    return {name: np.concatenate([its[name], fresh[name]]) for name in SERIES}


@dataclass(frozen=True)
class Part:
    """All that is remembered of one partition."""

    counts: KeyedRows = field(default_factory=lambda: KeyedRows(COUNTED, "key"))
    series: Mapping[Family, Series] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()
    """Open ones, and those resolved of late."""
    raised: pl.DataFrame = field(default_factory=RAISED.to_frame)
    examples: pl.DataFrame = field(default_factory=KEPT_EXAMPLES.to_frame)
    serial: int = 0
    """Counts changes of all but counts and series."""

    @property
    def n_series(self) -> int:
        """Of all families."""
        return sum(its.known.height for its in self.series.values())

    @property
    def n_bytes(self) -> int:
        """Memory, about."""
        frames = sum(int(frame.estimated_size()) for frame in (self.raised, self.examples))
        return self.counts.n_bytes + frames + sum(its.n_bytes for its in self.series.values())

    def pieces(self, partition: int) -> Iterator[Piece]:
        """All that is remembered."""
        yield from below("counts", self.counts.pieces(partition))
        for family, its in sorted(self.series.items()):
            yield from below(f"series.{family.id}", its.pieces())
            yield Piece(f"family.{family.id}.{its.serial}", lambda family=family, its=its: _family(family, its.ripeness))  # type: ignore[misc]  # mypy infers no lambda with a default
        small = {"alerts": lambda: kept(self.alerts), "raised": lambda: self.raised, "examples": lambda: self.examples}
        for name, frame in small.items():
            yield Piece(f"{name}.{self.serial}", frame)

    @classmethod
    def restored(cls, frames: Mapping[str, pl.DataFrame]) -> Self:
        """From pieces."""
        series, serial = {}, 0
        for name, frame in within("family", frames).items():
            number = name.partition(".")[0]
            its = Series.of(within(f"series.{number}", frames))
            row = frame.row(0, named=True)
            family = Family(*(row[name] for name in Family.__annotations__))
            ripeness = Ripeness(**{name: row[name] for name in Ripeness.__annotations__ if name in row})
            series[family] = replace(its, ripeness=ripeness, serial=max(its.serial, int(name.partition(".")[2])))
        small = {}
        for name, empty in (("alerts", ALERT), ("raised", RAISED), ("examples", KEPT_EXAMPLES)):
            small[name] = empty.to_frame()
            for said, frame in within(name, frames).items():
                small[name], serial = frame, max(serial, 1 + int(said))
        fresh = cls()
        return replace(
            fresh,
            counts=fresh.counts.restored(within("counts", frames)),
            series=series,
            alerts=restored(small["alerts"]),
            raised=small["raised"],
            examples=small["examples"],
            serial=serial,
        )


@dataclass(frozen=True)
class SpikesState:
    """The memory of one fold over all partitions that are ours."""

    parts: Mapping[int, Part] = field(default_factory=dict)

    @property
    def n_open(self) -> int:
        """Alerts that are open."""
        return sum(alert.is_open for part in self.parts.values() for alert in part.alerts)

    @property
    def n_bytes(self) -> int:
        """Memory of all that is remembered, about."""
        return sum(part.n_bytes for part in self.parts.values())

    def pieces(self, partition: int) -> Iterator[Piece]:
        """All that is remembered of one partition."""
        if partition in self.parts:
            yield from self.parts[partition].pieces(partition)

    def restored(self, partition: int, frames: Mapping[str, pl.DataFrame]) -> Self:
        """This state with one more partition, from its pieces."""
        return replace(self, parts={**self.parts, partition: Part.restored(frames)})

    def without(self, partition: int) -> Self:
        """This state after one partition was forgotten."""
        return replace(self, parts={at: part for at, part in self.parts.items() if at != partition})


def _family(family: Family, ripeness: Ripeness) -> pl.DataFrame:
    return pl.DataFrame([{**family.__dict__, **ripeness.__dict__}])
