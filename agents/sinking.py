"""The sink's stage: rows from the rows topic into ClickHouse.

It is a stage like a fold's, through the same transport, shell and take-over, and its state is small: which epoch of every
source is the newest. Batches of a lower one were written by a worker that had lost the partition, and are ignored.

Its position is what ClickHouse has taken, not what was read: rows wait in the writer, which never makes anybody wait. When the
writer is full no more is taken, the inbox fills, and the partitions are held; detection goes on.

**Delivery:** at least once, in the order of each source; after a restart it writes again from its position. Effectively once, for a
row of a table is replaced by one of the same id and version.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Protocol

import polars as pl
import pyarrow as pa

from agents import logs
from agents.arrow_batches import Batch
from agents.held import Progress
from agents.manifests import Fence, Standing
from agents.runs import Run
from pipeline.about import Source
from pipeline.facts import UNSTORED
from pipeline.frames import TABLES
from pipeline.pieces import Piece

log = logging.getLogger(__name__)


class Writer(Protocol):
    """Who writes (sinks.writer.Writer)."""

    @property
    def full(self) -> bool:
        """Whether more waits to be written than should."""

    def put(self, table: str, rows: pa.Table, done: Callable[[], None]) -> None:
        """Take rows, without waiting; call `done`, from any thread, when the store has them."""


class Taken:
    """What has been handed to the writer of one partition, and how far the store has followed."""

    def __init__(self, position: int, fences: Mapping[Source, int]) -> None:
        """Begin after this position, with the epochs as told up to there."""
        self.read = position
        """Last offset handed over or passed by."""
        self.newest = dict(fences)
        """Source -> its epoch as of `read`."""
        self._kept = dict(fences)
        self._marks: list[tuple[int, Source, int]] = []  # (offset, source, epoch) of markers after what is written
        self._outstanding: dict[int, None] = {}  # offsets that the store has not taken, ascending
        self._finishing = threading.Lock()

    def begin(self, offset: int) -> None:
        """Note that the batch at this offset is on its way."""
        with self._finishing:
            self._outstanding[offset] = None

    def finish(self, offset: int) -> None:
        """Note that the store has it. From any thread."""
        with self._finishing:
            self._outstanding.pop(offset, None)

    def mark(self, offset: int, source: Source, epoch: int) -> None:
        """Note a newer epoch."""
        self.newest[source] = epoch
        self._marks.append((offset, source, epoch))

    @property
    def written(self) -> int:
        """Last offset up to which the store has everything."""
        with self._finishing:
            return next(iter(self._outstanding), self.read + 1) - 1

    def standing(self) -> Standing:
        """Where it stands. Epochs told after the position are not part of it: what lies between is read again, and was valid."""
        position = self.written
        while self._marks and self._marks[0][0] <= position:
            _, source, epoch = self._marks.pop(0)
            self._kept[source] = epoch
        fences = (Fence(source.stage, source.topic, source.partition, epoch) for source, epoch in self._kept.items())
        return Standing(position=position, fences=tuple(fences))


class Sinking:
    """Implements stages.Work for the sink."""

    time_matters = False

    def __init__(self, writer: Writer, stirred: Callable[[], None]) -> None:
        """Take the writer, and whom to call, from any thread, when it has written something."""
        self._writer, self._stirred = writer, stirred
        self._taken: dict[int, Taken] = {}
        self._saved: dict[int, int] = {}  # partition -> position as kept
        self._saying: dict[int, int] = {}  # partition -> position of the checkpoint being made
        self.progress = Progress()
        self.fenced = 0
        """Batches ignored because their writer had lost the partition."""
        self.unreadable = 0
        """Messages on our topic that are none of ours."""

    @property
    def has_room(self) -> bool:
        """Whether the writer takes more."""
        return not self._writer.full

    @property
    def dirty(self) -> frozenset[int]:
        """Partitions of which the store has taken more than the last checkpoint says."""
        return frozenset(partition for partition, taken in self._taken.items() if taken.written != self._saved.get(partition))

    @property
    def holds_news(self) -> bool:
        """Whether there is anything to be kept."""
        return bool(self.dirty)

    def positions(self) -> Mapping[int, int]:
        """Partition -> last offset handed to the writer."""
        return {partition: taken.read for partition, taken in self._taken.items()}

    @property
    def is_written(self) -> bool:
        """Whether the store has all that was read."""
        return all(taken.written == taken.read for taken in self._taken.values())

    def quiet_time(self, is_caught_up: Callable[[int], bool]) -> Mapping[int, timedelta]:  # noqa: ARG002 - as the shell asks
        """Time says nothing to a sink."""
        return {}

    # Taking over (takeover.Estate) ------------------------------------------------------------------------------------------

    def holds(self, partition: int) -> bool:
        """Whether it is being read."""
        return partition in self._taken

    def restore(self, partition: int, standing: Standing, frames: dict[str, pl.DataFrame]) -> None:  # noqa: ARG002 - a sink has none
        """Read on from what the store had taken."""
        fences = {Source(fence.stage, fence.topic, fence.partition): fence.epoch for fence in standing.fences}
        self._taken[partition] = Taken(standing.position, fences)

    def checkpoint(self, partition: int) -> tuple[Standing, Iterable[Piece]]:
        """Say what the store has taken."""
        standing = self._taken[partition].standing()
        self._saying[partition] = standing.position
        return standing, ()

    def saved(self, partition: int) -> None:
        """Note that it has been kept."""
        self._saved[partition] = self._saying[partition]

    def begin_epoch(self, partition: int, epoch: int) -> None:  # noqa: ARG002 - nobody reads what a sink writes by epoch
        """Note that it has been kept: a sink has no readers to tell."""
        self.saved(partition)

    def settle(self, partition: int) -> None:
        """Nothing: a row that is written again replaces itself."""

    def give_up(self, partition: int) -> None:
        """Forget a partition; what the writer holds of it is written all the same, and changes nothing."""
        for kept in (self._taken, self._saved, self._saying):
            kept.pop(partition, None)

    # A step -----------------------------------------------------------------------------------------------------------------

    def prepare(self, runs: list[Run]) -> None:
        """Nothing: messages are read as they are taken."""

    def step(self, runs: list[Run], quiet: Mapping[int, timedelta]) -> None:  # noqa: ARG002 - as the shell asks
        """Hand batches to the writer, but those of epochs that are over."""
        for run in runs:
            taken = self._taken[run.tp.partition]
            for offset, message in zip(run.offsets(), run.values(), strict=True):
                if message is not None:
                    self._take(taken, offset, message)
            taken.read = run.last
            self.progress.events += len(run)
        self.progress.steps += 1

    def _take(self, taken: Taken, offset: int, message: bytes) -> None:
        try:
            batch = Batch(message)
            rows = _rows(batch)
        except ValueError as error:  # somebody else writes to our topic: no reason to stand still for ever
            self.unreadable += 1
            log.error("offset %d of the rows topic is passed by: %s", offset, error, extra=logs.about(stage="sinks"))  # noqa: TRY400 - where we are says nothing
            return
        about = batch.about
        newest = taken.newest.get(about.source, -1)
        if about.is_marker:
            if about.epoch > newest:
                taken.mark(offset, about.source, about.epoch)
        elif about.epoch < newest:
            self.fenced += 1
            source = about.source
            fields = logs.about(stage=source.stage, topic=source.topic, partition=source.partition, epoch=about.epoch)
            log.warning(
                "rows of %s ignored: written under epoch %d, and %d is the newest", source, about.epoch, newest, extra=fields
            )
        elif rows is not None:
            taken.begin(offset)
            self._writer.put(about.table, rows, partial(self._written, taken, offset))
            self.progress.rows[about.table] = self.progress.rows.get(about.table, 0) + rows.num_rows

    def _written(self, taken: Taken, offset: int) -> None:
        taken.finish(offset)
        self._stirred()


def _rows(batch: Batch) -> pa.Table | None:
    """What is to be stored of a batch. Raises: ValueError - it cannot be read, or is of no table that there is."""
    table = batch.about.table
    if batch.about.is_marker or table in UNSTORED:
        return None
    if table not in TABLES:
        message = f"there is no table {table!r}"
        raise ValueError(message)
    return batch.rows()
