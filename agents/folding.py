"""A fold at work: records in, rows out, state in memory.

A step: decode -> fold -> stamp -> emit; what comes next is decoded meanwhile (decoding.py). One step is over all partitions at once, for a step has a price of its own.

**Delivery:** everything before the last checkpoint may be said again, with the same ids and higher versions: effectively once in
whatever keeps the newest version of a row.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import polars as pl

from agents import logs
from agents.arrow_batches import About, Source, marker, messages
from agents.books import Books, n_read
from agents.checkpoints import Reading
from agents.dead_letter_topic import LetterBox, Posting
from agents.dead_letters import dead_letters, with_bytes
from agents.decoding import Decoding, as_records, places
from agents.defective_batch import described
from agents.manifests import Standing
from agents.producer import Sent
from agents.quiet_time import QuietTime
from agents.runs import Run
from agents.settling import Said, taken_back
from agents.stages import Stage
from agents.versions import VersionClock
from pipeline.decode import Records
from pipeline.frames import DEAD_LETTERS, TABLES
from pipeline.pieces import Piece
from pipeline.watermark import UNREAD, elapsed, from_ms, in_ms

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outputs:
    """Where rows go."""

    topic: str
    partitions: int
    reader: Reading
    """Of what was said there."""
    letters: LetterBox
    """And records that could not be used."""


@dataclass
class Held:
    """What is remembered of one partition beside the fold's state."""

    position: int
    clock: VersionClock
    fates: dict[str, int]
    books: Books
    said_to: int
    """Offset of the last message on the rows topic that the state at `last_said` or before has said."""
    said_epoch: int
    """The newest epoch told there by then."""
    watermark_ms: int = UNREAD
    epoch: int = -1
    last_said: Sent | None = None
    """The last message of ours on its way there."""


@dataclass
class Progress:
    """What a stage has done since the process began, for people who watch."""

    events: int = 0
    """Records taken."""
    rows: dict[str, int] = field(default_factory=dict)
    """Table -> rows emitted."""
    steps: int = 0
    fates: dict[tuple[int, str], int] = field(default_factory=dict)
    """Partition, fate -> records; `n_late` counts within applied."""
    dead_letters: dict[str, int] = field(default_factory=dict)
    """Reason -> records that could not be used."""


class Folding:
    """The state of a fold, and what it says. Implements stages.Work."""

    has_room = True

    def __init__(self, stage: Stage[Any], producer: Posting, outputs: Outputs, *, cluster_id: str, quiet: QuietTime) -> None:
        """Begin with nothing: partitions come by `restore`."""
        self._stage, self._producer, self._outputs, self._cluster_id = stage, producer, outputs, cluster_id
        self._reader, self._quiet = outputs.reader, quiet
        self._state = stage.fold.empty()
        self._held: dict[int, Held] = {}
        self._dirty: set[int] = set()
        self._decoding = Decoding(stage.decode)
        self._nothing = stage.decode(Records([], [], [], [], [])).events
        self.progress = Progress()

    # What the shell asks ----------------------------------------------------------------------------------------------------

    @property
    def time_matters(self) -> bool:
        """Whether any watermark can advance."""
        return any(held.watermark_ms != UNREAD for held in self._held.values())

    @property
    def dirty(self) -> frozenset[int]:
        """Partitions that must be kept anew."""
        return frozenset(self._dirty)

    def positions(self) -> Mapping[int, int]:
        """Partition -> last offset applied."""
        return {partition: held.position for partition, held in self._held.items()}

    def quiet_time(self, is_caught_up: Callable[[int], bool]) -> Mapping[int, timedelta]:
        """How much event time has passed without events."""
        return self._quiet.elapsed(is_caught_up)

    @property
    def fates(self) -> dict[int, dict[str, int]]:
        """Partition -> fate -> records, since the stage began, of the partitions held; `n_late` counts within applied."""
        return {partition: dict(held.fates) for partition, held in self._held.items()}

    def unaccounted(self) -> dict[int, int]:
        """Partition held -> offsets that are in no account (agents.books): anything but 0 is a defect."""
        return {at: held.books.unaccounted(held.position, held.fates) for at, held in self._held.items()}

    @property
    def topic(self) -> str:
        """What it reads."""
        return self._stage.topic

    @property
    def n_open(self) -> int:
        """Entities that have not ended. From any thread: a state never changes, it is replaced."""
        return int(self._state.n_open)

    @property
    def n_bytes(self) -> int:
        """Memory of the state, about. From any thread."""
        return int(self._state.n_bytes)

    @property
    def watermarks(self) -> pl.DataFrame:
        """Frames: -> WATERMARKS of the partitions held."""
        return from_ms({partition: held.watermark_ms for partition, held in self._held.items()})

    # Taking over (takeover.Estate) ------------------------------------------------------------------------------------------

    def holds(self, partition: int) -> bool:
        """Whether its state is in memory."""
        return partition in self._held

    def restore(self, partition: int, standing: Standing, frames: dict[str, pl.DataFrame]) -> None:
        """Take a partition as its manifest says."""
        self.give_up(partition)
        clock = VersionClock(standing.highest_version)
        clock.start_assignment()
        watermark_ms = UNREAD if standing.watermark_ms is None else standing.watermark_ms
        books = standing.books or Books(began=standing.position + 1 - n_read(standing.fates))
        said_to = standing.said_to
        if said_to is None:  # nobody has ever said anything here; or it was to another broker
            said_to = self._reader.bounds(self._outputs.topic, self._output(partition)).end - 1
        self._held[partition] = Held(
            standing.position, clock, dict(standing.fates), books, said_to, standing.said_epoch, watermark_ms
        )
        self._quiet.begin(partition, standing.quiet_since_ms)
        self._state = self._state.restored(partition, frames)

    def checkpoint(self, partition: int) -> tuple[Standing, Iterable[Piece]]:
        """Say where it stands, with all that is remembered."""
        held = self._held[partition]
        standing = Standing(
            position=held.position,
            watermark_ms=None if held.watermark_ms == UNREAD else held.watermark_ms,
            quiet_since_ms=self._quiet.since_ms(partition),
            highest_version=held.clock.highest,
            fates=dict(held.fates),
            said_to=held.said_to if held.last_said is None else held.last_said.offset,
            said_epoch=held.said_epoch if held.last_said is None else held.epoch,
            books=held.books,
        )
        return standing, self._state.pieces(partition)

    def saved(self, partition: int) -> None:
        """Note that it has been kept."""
        self._dirty.discard(partition)

    def begin_epoch(self, partition: int, epoch: int) -> None:
        """Tell all outputs, so that nobody listens to whoever held the partition before."""
        self._held[partition].epoch = epoch
        self._dirty.discard(partition)
        told = marker(self._about(partition, is_marker=True))
        sent = [self._producer.send(self._outputs.topic, output, told) for output in range(self._outputs.partitions)]
        self._held[partition].last_said = sent[self._output(partition)]

    def settle(self, partition: int) -> None:
        """Say again, or take back, what a predecessor said after the checkpoint. What he says after our marker is ignored, so all of it lies before."""
        held = self._held[partition]
        assert held.last_said is not None, "the marker comes first"
        stretch = Said(self._outputs.topic, self._output(partition), held.said_to + 1, held.last_said.offset - 1)
        said, highest = stretch.rows(self._reader, self._source(partition), held.said_epoch)
        if not said:
            return
        held.clock.receive(highest)  # his clock may have been far ahead of ours
        now = self._stage.fold.told_again(self._state, partition, said)
        gone = taken_back(said, now)
        for tables in (now, gone):
            self._emit({table: {partition: rows} for table, rows in tables.items() if len(rows)})
        again, back = (sum(map(len, tables.values())) for tables in (now, gone))
        fields = logs.about(stage=self._stage.name, topic=self._stage.topic, partition=partition)
        where = f"{self._stage.topic}-{partition}"
        log.info(
            "%s: of what was said after the checkpoint %d rows are said again and %d taken back", where, again, back, extra=fields
        )

    def give_up(self, partition: int) -> None:
        """Forget a partition."""
        if self._held.pop(partition, None) is not None:
            self._state = self._state.without(partition)
        self._dirty.discard(partition)
        self._quiet.end(partition)

    # A step -----------------------------------------------------------------------------------------------------------------

    def prepare(self, runs: list[Run]) -> None:
        """Decode ahead."""
        with self._naming(runs, self.watermarks):
            self._decoding.prepare(runs)

    def step(self, runs: list[Run], quiet: Mapping[int, timedelta]) -> None:
        """Fold records and time, and send what the fold says."""
        watermarks = elapsed(self.watermarks, quiet)
        with self._naming(runs, watermarks):
            self._step(runs, watermarks)

    @contextmanager
    def _naming(self, runs: list[Run], watermarks: pl.DataFrame) -> Iterator[None]:
        """Whatever fails over a batch says which one it was."""
        stage, reached = self._stage, self.positions()
        try:
            yield
        except BaseException as error:
            error.add_note(described(stage.name, stage.topic, stage.again, runs=runs, reached=reached, watermarks=watermarks))
            raise

    def _step(self, runs: list[Run], watermarks: pl.DataFrame) -> None:
        decoded = self._decoding.decoded(runs) if runs else None
        if decoded is not None:
            self._stage.watch(*places(runs), decoded.rejects)
        events = self._nothing if decoded is None else decoded.events
        done = self._stage.fold.step(self._state, events, watermarks)
        self._state = done.state
        for run in runs:
            held = self._held[run.tp.partition]
            held.position = run.last
            held.books = held.books.took(run.after, run.last, len(run))
            self._quiet.arrived(run.tp.partition)
            self._dirty.add(run.tp.partition)
        for partition, watermark_ms in zip(done.watermarks["partition"], in_ms(done.watermarks["watermark"]).tolist(), strict=True):
            self._held[partition].watermark_ms = watermark_ms
        self._count(runs, done.fates, None if decoded is None else decoded.rejects)
        self._emit({name: _by_partition(rows) for name, rows in done.tables.items() if len(rows)})
        rejects = [] if decoded is None else [decoded.rejects]
        if len(done.rejects):
            rejects.append(with_bytes(done.rejects, as_records(runs)))
        if any(map(len, rejects)):
            refused = pl.concat(rejects)
            self._bury(_by_partition(refused))
            for reason, n in refused.group_by("reason").len().rows():
                self.progress.dead_letters[reason] = self.progress.dead_letters.get(reason, 0) + n
        self.progress.steps += 1

    def _count(self, runs: Iterable[Run], fates: pl.DataFrame, rejects: pl.DataFrame | None) -> None:
        """Add up fates, and hold the fold to account: read = applied + duplicate + rejected + too late."""
        read: dict[int, int] = {}
        for run in runs:
            read[run.tp.partition] = read.get(run.tp.partition, 0) + len(run)
        counted = dict.fromkeys(read, 0)
        rejected = [] if rejects is None else rejects.group_by("partition").len().rows()
        every = [*fates.select("partition", "fate", "n").rows(), *((partition, "rejected", n) for partition, n in rejected)]
        for partition, fate, n in every:
            counted[partition] = counted.get(partition, 0) + n
            self._add(partition, fate, n)
        assert read == counted, f"stage {self._stage.name} read {read} records and accounts for {counted}"
        for partition, n_late in fates.select("partition", "n_late").rows():
            self._add(partition, "n_late", n_late)
        self.progress.events += sum(read.values())

    def _add(self, partition: int, fate: str, n: int) -> None:
        """Since the stage began, and since the process did."""
        kept, seen = self._held[partition].fates, self.progress.fates
        kept[fate] = kept.get(fate, 0) + n
        seen[partition, fate] = seen.get((partition, fate), 0) + n

    def _emit(self, tables: Mapping[str, Mapping[int, pl.DataFrame]]) -> None:
        for table, of_table in tables.items():
            columns = list(TABLES[table].schema)
            for partition, rows in of_table.items():
                about = self._about(partition, table=table, version=self._held[partition].clock.stamp())
                for message in messages(rows.select(columns), about):
                    self._held[partition].last_said = self._producer.send(self._outputs.topic, self._output(partition), message)
                self._dirty.add(partition)
                self.progress.rows[table] = self.progress.rows.get(table, 0) + len(rows)

    def _bury(self, rejects: Mapping[int, pl.DataFrame]) -> None:
        known = {"cluster_id": self._cluster_id, "family": self._stage.fold.family}
        self._emit({DEAD_LETTERS.name: {each: dead_letters(rows, self._source(each), **known) for each, rows in rejects.items()}})
        self._outputs.letters.post(self._producer, rejects, stage=self._stage.name, topic=self._stage.topic, **known)

    def _output(self, partition: int) -> int:
        """Always the same output for a source, so that a reader gets its batches in the order in which they were said."""
        return partition % self._outputs.partitions

    def _source(self, partition: int) -> Source:
        return Source(self._stage.name, self._stage.topic, partition)

    def _about(self, partition: int, *, table: str = "", version: int = 0, is_marker: bool = False) -> About:
        held = self._held[partition]
        watermark_ms = None if held.watermark_ms == UNREAD else held.watermark_ms
        return About(self._source(partition), held.epoch, held.position, watermark_ms, version, table, is_marker)


def _by_partition(rows: pl.DataFrame) -> dict[int, pl.DataFrame]:
    parts = rows.partition_by("partition", as_dict=True, maintain_order=True)
    return {int(partition): part for (partition,), part in parts.items()}
