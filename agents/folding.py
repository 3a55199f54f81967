"""A fold at work: records in, rows out, state in memory.

A step: decode -> fold -> stamp -> emit; what comes next is decoded meanwhile (decoding.py). One step is over all partitions at once, for a step has a price of its own.

**Delivery:** everything before the last checkpoint may be said again, with the same ids and higher versions: effectively once in
whatever keeps the newest version of a row.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import polars as pl

from agents import logs
from agents.arrow_batches import messages, without_rows
from agents.books import Books, n_read
from agents.dead_letter_topic import Posting
from agents.dead_letters import dead_letters, with_bytes
from agents.decoding import Decoding, as_records, places
from agents.defective_batch import described
from agents.hearing import Hearing
from agents.held import Held, Progress
from agents.manifests import Standing
from agents.original_records import with_original_bytes
from agents.outputs import Outputs
from agents.passing import Passing
from agents.publishing import Publishing
from agents.quiet_time import QuietTime
from agents.runs import Run, sizes
from agents.settling import Said, taken_back
from agents.stages import Stage
from agents.versions import VersionClock
from pipeline.about import About, Source
from pipeline.decode import Decoded, Records
from pipeline.facts import SAID
from pipeline.fold import Step
from pipeline.frames import DEAD_LETTERS, HEARD
from pipeline.passed import Passed
from pipeline.pieces import Piece
from pipeline.watermark import BEFORE, UNREAD, elapsed, from_ms, in_each

log = logging.getLogger(__name__)


class Folding:
    """The state of a fold, and what it says. Implements stages.Work."""

    has_room = True

    def __init__(
        self,
        stage: Stage[Any],
        producer: Posting,
        outputs: Outputs,
        *,
        cluster_id: str,
        quiet: QuietTime,
        hearing: Hearing | None = None,
    ) -> None:
        """Begin with nothing: partitions come by `restore`. `hearing`: if it reads what other stages pass on."""
        self._stage, self._producer, self._outputs, self._cluster_id = stage, producer, outputs, cluster_id
        self._reader, self._quiet, self._hearing = outputs.reader, quiet, hearing
        self._state = stage.fold.empty()
        # Who sends on to himself need not be told the time.
        passing = {to: (topic, outputs.passing[topic]) for to, topic in stage.outputs.items()}
        self._passing = Passing(producer, passing, untimed=stage.topic)
        self._publishing = Publishing(producer, outputs.published, outputs.schema_id)
        self._held: dict[int, Held] = {}
        self._dirty: set[int] = set()
        self._fresh: set[int] = set()  # those of which more has come than time
        self._decoding = Decoding(stage.decode)
        self._nothing = stage.decode(Records([], [], [], [], [])).events
        self.progress = Progress()

    # What the shell asks ----------------------------------------------------------------------------------------------------

    @property
    def time_matters(self) -> bool:
        """Whether any watermark can advance, or somebody must hear that there is none."""
        if self._hearing is not None:  # time comes with messages
            return False
        return self._passing.says or any(held.watermark_ms != UNREAD for held in self._held.values())

    @property
    def dirty(self) -> frozenset[int]:
        """Partitions that must be kept anew."""
        return frozenset(self._dirty)

    @property
    def holds_news(self) -> bool:
        """Whether more has come since the last checkpoint than time."""
        return bool(self._fresh)

    def positions(self) -> Mapping[int, int]:
        """Partition -> last offset applied."""
        return {partition: held.position for partition, held in self._held.items()}

    def quiet_time(self, is_caught_up: Callable[[int], bool]) -> Mapping[int, timedelta]:
        """How much event time has passed without events."""
        return self._quiet.elapsed(is_caught_up) if self._hearing is None else {}

    @property
    def fates(self) -> dict[int, dict[str, int]]:
        """Partition -> fate -> records, since the stage began, of the partitions held; `n_late` counts within applied."""
        return {partition: dict(held.fates) for partition, held in self._held.items()}

    @property
    def origins(self) -> Mapping[tuple[str, int], Mapping[str, int]]:
        """Of a stage behind others: original topic and partition -> fate -> records, of the partitions held."""
        return {} if self._hearing is None else self._hearing.fates

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
            standing.position, clock, dict(standing.fates), books, said_to, standing.said_epoch, watermark_ms, standing.turn
        )
        self._quiet.begin(partition, standing.quiet_since_ms)
        if self._hearing is not None:
            self._hearing.begin(partition, standing.sources, watermark_ms)
        self._state = self._state.restored(partition, frames)

    def checkpoint(self, partition: int) -> tuple[Standing, Iterable[Piece]]:
        """Say where it stands, with all that is remembered."""
        held = self._held[partition]
        standing = Standing(
            position=held.position,
            watermark_ms=held.told_ms,
            quiet_since_ms=self._quiet.since_ms(partition),
            highest_version=held.clock.highest,
            fates=dict(held.fates),
            said_to=held.said_to if held.last_said is None else held.last_said.offset,
            said_epoch=held.said_epoch if held.last_said is None else held.epoch,
            books=held.books,
            turn=held.turn,
            sources=() if self._hearing is None else self._hearing.kept(partition),
        )
        return standing, self._state.pieces(partition)

    def saved(self, partition: int) -> None:
        """Note that it has been kept."""
        self._dirty.discard(partition)
        self._fresh.discard(partition)

    def begin_epoch(self, partition: int, epoch: int) -> None:
        """Tell all outputs, so that nobody listens to whoever held the partition before."""
        self._held[partition].epoch = epoch
        self._dirty.discard(partition)
        self._fresh.discard(partition)
        about = self._about(partition, is_marker=True)
        self._passing.mark(about)
        told = without_rows(about)
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
        if self._passing.says:
            self._pass_on(self._stage.fold.passed_again(self._state, partition, said, gone))
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
        self._fresh.discard(partition)
        self._quiet.end(partition)
        self._passing.forget(partition)
        if self._hearing is not None:
            self._hearing.end(partition)

    # A step -----------------------------------------------------------------------------------------------------------------

    def prepare(self, runs: list[Run]) -> None:
        """Decode ahead."""
        with self._naming(runs, self.watermarks):
            self._decoding.prepare(runs)

    def step(self, runs: list[Run], quiet: Mapping[int, timedelta]) -> None:
        """Fold records and time, and send what the fold says."""
        watermarks = elapsed(self.watermarks, quiet) if self._hearing is None else self._hearing.reached()
        with self._naming(runs, watermarks):
            self._step(runs, watermarks)
            self._tell_time({run.tp.partition for run in runs}, quiet)

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
        for run in runs:
            held = self._held[run.tp.partition]
            held.position = run.last
            held.books = held.books.took(run.after, run.last, len(run))
            self._quiet.arrived(run.tp.partition)
            self._dirty.add(run.tp.partition)
            if self._hearing is None:
                self._fresh.add(run.tp.partition)
        read = sizes(runs)
        if self._hearing is None or decoded is None:
            done = self._fold(self._nothing if decoded is None else decoded.events, watermarks)
            rejected = [] if decoded is None else decoded.rejects.group_by("partition").len().rows()
            self._count(read, done.fates, rejected, kept=self._keep)
            self._refuse(runs, decoded, done.rejects)
        else:
            self._hear(self._hearing, decoded, read, watermarks)
        self.progress.steps += 1

    def _hear(self, hearing: Hearing, decoded: Decoded, read: Mapping[int, int], watermarks: pl.DataFrame) -> None:
        """Fold what other stages pass on: rows, each with the time that had come before it, and the time that has come after them."""
        news = hearing.news(decoded)
        for partition, n in read.items():
            self._keep(partition, HEARD, n)
            self._held[partition].clock.receive(news.versions[partition])
        self._fresh |= set(news.events["partition"].unique())
        if news.events.height or not news.watermarks.equals(watermarks):
            done = self._fold(news.events, news.watermarks.with_columns(watermarks["watermark"].alias(BEFORE)))
            self._count(dict.fromkeys(read, 0) | news.n_records, done.fates, (), kept=None)
            hearing.count(done.fates)
            for topic, family, refused in with_original_bytes(done.rejects, self._reader):
                self._bury(topic, family, refused)
        self._refuse([], decoded, decoded.rejects.clear())

    def _fold(self, events: pl.DataFrame, watermarks: pl.DataFrame) -> Step[Any]:
        """Fold, and send what is said: to other stages with the watermark before it, which only then advances.

        First the rows: who is sent on what we have told says it after us.
        """
        done = self._stage.fold.step(self._state, events, watermarks)
        self._state = done.state
        self._emit({name: _by_partition(rows) for name, rows in done.tables.items() if len(rows)})
        self._pass_on(done.passed)
        for partition, watermark_ms in in_each(done.watermarks).items():
            self._held[partition].watermark_ms = watermark_ms
        return done

    def _pass_on(self, passed: Iterable[Passed]) -> None:
        def about(at: int, each: Passed) -> About:
            return self._about(at, table=each.table, version=self._stamp(at), is_forwarded=each.is_forwarded)

        self._passing.rows(passed, about)

    def _tell_time(self, fresh: Collection[int], quiet: Mapping[int, timedelta]) -> None:
        """Tell those behind us how far time has come; what is caught up and has none is idle."""
        for partition, held in self._held.items() if self._passing.tells_time else ():
            if self._hearing is not None:
                is_idle = self._hearing.is_idle(partition)
            else:
                is_idle = held.told_ms is None and partition in quiet and partition not in fresh
            if is_idle or held.told_ms is not None or partition in fresh:
                self._passing.tell(self._about(partition, is_idle=is_idle))

    def _count(
        self,
        read: Mapping[int, int],
        fates: pl.DataFrame,
        rejected: Iterable[tuple[int, int]],
        *,
        kept: Callable[[int, str, int], None] | None,
    ) -> None:
        """Add up fates, and hold the fold to account: read = applied + duplicate + rejected + too late."""
        every = [*fates.select("partition", "fate", "n").rows(), *((partition, "rejected", n) for partition, n in rejected)]
        counted = dict.fromkeys(read, 0)
        for partition, _, n in every:
            counted[partition] = counted.get(partition, 0) + n
        assert read == counted, f"stage {self._stage.name} read {read} records and accounts for {counted}"
        for partition, fate, n in [*every, *((at, "n_late", n) for at, n in fates.select("partition", "n_late").rows())]:
            self.progress.fates[partition, fate] = self.progress.fates.get((partition, fate), 0) + n
            if kept is not None:
                kept(partition, fate, n)
        self.progress.events += sum(read.values())

    def _keep(self, partition: int, fate: str, n: int) -> None:
        kept = self._held[partition].fates
        kept[fate] = kept.get(fate, 0) + n

    def _refuse(self, runs: list[Run], decoded: Decoded | None, refused: pl.DataFrame) -> None:
        """Bury what could not be decoded, and what the fold refused."""
        rejects = [] if decoded is None else [decoded.rejects]
        if len(refused):
            rejects.append(with_bytes(refused, as_records(runs)))
        if any(map(len, rejects)):
            self._bury(self._stage.topic, self._stage.fold.family, _by_partition(pl.concat(rejects)))

    def _emit(self, tables: Mapping[str, Mapping[int, pl.DataFrame]]) -> None:
        for table, of_table in tables.items():
            columns = list(SAID[table].schema)
            for partition, rows in of_table.items():
                about = self._about(partition, table=table, version=self._stamp(partition))
                for message in messages(rows.select(columns), about):
                    self._held[partition].last_said = self._producer.send(self._outputs.topic, self._output(partition), message)
                self._publishing.say(table, rows, about.version)
                self._dirty.add(partition)
                self._fresh.add(partition)
                self.progress.rows[table] = self.progress.rows.get(table, 0) + len(rows)

    def _bury(self, topic: str, family: str, rejects: Mapping[int, pl.DataFrame]) -> None:
        known = {"cluster_id": self._cluster_id, "family": family}
        letters = {at: dead_letters(rows, Source(self._stage.name, topic, at), **known) for at, rows in rejects.items()}
        self._emit({DEAD_LETTERS.name: letters})
        self._outputs.letters.post(self._producer, rejects, stage=self._stage.name, topic=topic, **known)
        for reason, n in pl.concat(rejects.values()).group_by("reason").len().rows():
            self.progress.dead_letters[reason] = self.progress.dead_letters.get(reason, 0) + n

    def _output(self, partition: int) -> int:
        """Always the same output for a source, so that a reader gets its batches in the order in which they were said."""
        return partition % self._outputs.partitions

    def _source(self, partition: int) -> Source:
        return Source(self._stage.name, self._stage.topic, partition)

    def _stamp(self, partition: int) -> int:
        return self._held[partition].clock.stamp()

    def _about(self, partition: int, *, version: int = 0, **said: Any) -> About:
        held = self._held[partition]
        return About(self._source(partition), held.epoch, held.position, held.told_ms, version, turn=held.turn, **said)


def _by_partition(rows: pl.DataFrame) -> dict[int, pl.DataFrame]:
    return {int(at): part for (at,), part in rows.partition_by("partition", as_dict=True, maintain_order=True).items()}
