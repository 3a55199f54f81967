"""The fold by person over a topic of several partitions: rows come by their key, and what is sent on comes round."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from pipeline.frames import FATES, TABLES
from pipeline.keys import partitions
from pipeline.passed import LINK, PEOPLE, TYPES, heard
from pipeline.person_log import FACTS
from pipeline.watermark import from_ms, in_ms
from tests.builders import Event

COLUMNS = heard("ticket", LINK, TYPES, *FACTS)
ORIGIN = {"origin_topic": "tickets", "origin_partition": 0}


class PeopleLine:
    """All partitions, and rows on their way between them.

    `rng` delays what is sent on (between two partitions it keeps its order, as on a broker, and nothing else does), and puts the clocks that stamp rows a
    minute apart, as they can be.
    """

    def __init__(self, fold, n_partitions=1, rng=None):
        self.fold, self.n, self.rng = fold, n_partitions, rng
        self.state = fold.empty()
        self.watermarks = from_ms(dict.fromkeys(range(n_partitions), np.iinfo(np.int64).min))
        self.steps, self.stamped = [], []
        self._stamps = [rng.randint(0, 60) if rng else 0 for _ in range(n_partitions)]
        self._on_their_way: dict[tuple[int, int], list[Event]] = {}
        self._offset = 0

    def placed(self, rows):
        """Rows as a fold is given them, each in the partition of its key; one without a key comes to all."""
        found = []
        for row in rows:
            self._offset += 1
            beside = {"offset": self._offset, "is_forwarded": False, "version": len(self.steps), "origin_offset": self._offset}
            if row.get("key") is None:
                found += [{**beside, **row, "partition": at} for at in range(self.n)]
            else:
                (at,) = partitions(pl.Series([row["site"]]), pl.Series([row["key"]]), self.n).tolist()
                found.append({**ORIGIN, **beside, **row, "partition": at})
        return found

    def take(self, *rows):
        """One step over these rows (family, key and what they say), and over some of what is on its way."""
        return self._step(self.placed(rows) + self._arriving())

    def time(self, at: datetime):
        """Time comes to here, in all partitions."""
        ms = round(at.timestamp() * 1_000)
        known = in_ms(self.watermarks["watermark"]).tolist()
        self.watermarks = from_ms({place: max(ms, known[place]) for place in range(self.n)})
        return self._step([])

    def settle(self):
        """Until nothing is on its way."""
        for _ in range(100):
            if not self._on_their_way:
                return self
            self._step(self._arriving())
        pytest.fail(f"it goes round for ever: {self._on_their_way}")

    def again(self, partition):
        """A partition is taken over: kept as pieces, and restored."""
        frames = {piece.name: piece.frame() for piece in self.state.pieces(partition)}
        self.state = self.state.without(partition).restored(partition, frames)
        return self

    def shows(self, name):
        """What the `_now` view shows of a table, less version: rows as dicts, in order of the key."""
        table = TABLES[name]
        rows = [rows for told, rows in self.stamped if told == name]
        if not rows:
            return []
        newest = (
            pl.concat(rows).sort("version").unique(table.key, keep="last", maintain_order=True).filter(pl.col("is_deleted") == 0)
        )
        return newest.drop("is_deleted", "partition", "version").sort(table.key).to_dicts()

    def fates(self):
        """Fate -> records."""
        counted = pl.concat([FATES.to_frame(), *(step.fates.select(FATES.names()) for step in self.steps)])
        return dict(counted.group_by("fate").agg(pl.col("n").sum()).sort("fate").rows())

    def _arriving(self):
        """Of everything that is on its way, some."""
        found = []
        channels = list(self._on_their_way)
        if self.rng is not None:
            self.rng.shuffle(channels)
        for channel in channels:
            waiting = self._on_their_way[channel]
            n = len(waiting) if self.rng is None else self.rng.randint(0, len(waiting))
            found += waiting[:n]
            if n == len(waiting):
                del self._on_their_way[channel]
            else:
                self._on_their_way[channel] = waiting[n:]
        return found

    def _step(self, rows):
        told = dict(enumerate(self.watermarks["watermark"].to_list()))
        batch = pl.DataFrame([{**row, "watermark": told[row["partition"]]} for row in rows], schema=COLUMNS)
        for row in rows:
            self._stamps[row["partition"]] = max(self._stamps[row["partition"]], row["version"])
        done = self.fold.step(self.state, batch, self.watermarks)
        self.state, self.watermarks = done.state, done.watermarks
        self.steps.append(done)
        # As the shell does: first its rows, then what it sends on.
        for name, told in done.tables.items():
            stamps = [self._stamp(partition) for partition in told["partition"]]
            self.stamped.append((name, told.with_columns(pl.Series("version", stamps, pl.Int64))))
        for passed in (each for each in done.passed if each.to == PEOPLE):
            rows = passed.rows.drop("partition").to_dicts()
            sources = passed.rows["partition"].to_list()
            for source, row in zip(sources, self.placed([{"family": passed.table, **row} for row in rows]), strict=True):
                sent = {**row, "is_forwarded": True, "version": self._stamp(source)}
                self._on_their_way.setdefault((source, row["partition"]), []).append(sent)
        return self

    def _stamp(self, partition):
        """Higher than all that this partition has said or heard, and not behind the wall clock: here, the number of the step."""
        self._stamps[partition] = max(self._stamps[partition] + 1, len(self.steps))
        return self._stamps[partition]
