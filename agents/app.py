"""The worker: one Faust app, with an agent and a task for every stage.

Agents only hand over. The take-over is in the signal `on_rebalance_complete`, before the flow resumes: Faust waits for it without a
timeout. A defect anywhere ends the process at once.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import faust
from confluent_kafka.admin import AdminClient
from faust.types import TP

from agents import topics
from agents.alerting import Alerting
from agents.checkpoints import Checkpoints
from agents.dead_letter_topic import LetterBox
from agents.defects import end_process, or_end
from agents.directory_checkpoints import DirectoryCheckpoints
from agents.faust_app import faust_settings, running
from agents.faust_group import FaustGroup
from agents.folding import Folding
from agents.garbage import look_seldom
from agents.hearing import Hearing
from agents.kafka_checkpoints import KafkaCheckpoints
from agents.log_reader import LogReader
from agents.manifests import StateUnreadable
from agents.outputs import Outputs
from agents.producer import Producer
from agents.quiet_time import QuietTime
from agents.runs import Run, RunSchema
from agents.shell import Shell
from agents.sinking import Sinking, Writer
from agents.stages import ShellSettings, Stage, Work
from agents.takeover import Input, PositionRefused
from agents.topics import Cluster, Topic, look_at, make_topics
from agents.transport import build_transport
from pipeline.about import Source
from pipeline.frames import ALERTS
from pipeline.published import COMPACTED

log = logging.getLogger(__name__)

SINK = "sinks"
"""Name of the sink's stage: it names its topics of state for ever."""

ALERTING = "alerting"
"""Name of the stage that tells of alerts; likewise."""

SINK_BATCH_BYTES = 4 << 20
"""Compressed rows that the sink takes at a time: it cannot stop half-way when the writer is full."""

TAKE_OVER_PATIENCE_S = 10.0
"""How long the other stages wait for one whose take-over is slow; it is let in when it is ready."""


@dataclass(frozen=True)
class Connection:
    """Which broker, and how our topics are made there."""

    bootstrap: str
    prefix: str = "ebbtide"
    """Name of the consumer group, and first part of the names of our topics."""
    partitions: int = 4
    """Of topics that are made."""
    undivided: frozenset[str] = frozenset()
    """Topics that are made with one partition all the same."""
    replication: int = 1
    """Of topics that are made."""
    librdkafka: Mapping[str, str] = field(default_factory=dict)
    """Settings of every client as they are, for security."""
    state_dir: Path | None = None
    """Where state and positions are kept, beside a broker that keeps nothing; None: on the broker."""
    published: tuple[str, ...] = ()
    """Tables that others subscribe to."""
    schema_id: Callable[[str], int] = field(default=lambda _table: 0)
    """Under which id each of them is written."""


@dataclass
class Worker:
    """A Faust app and its stages."""

    app: faust.App
    shells: dict[str, Shell]
    """Stage -> its shell; the sink's is called SINK."""
    folds: dict[str, Folding]
    """Stage -> its fold at work: progress, fates, watermarks."""
    sink: Sinking | None
    alerting: Alerting | None
    reader: LogReader
    group: FaustGroup

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Worker"]:
        """Run in this event loop, once; leave the block to stop."""
        look_seldom()
        try:
            async with running(self.app):
                yield self
        finally:  # after Faust: a stage that is let go of while it runs is a defect
            for shell in self.shells.values():
                shell.close()
            if self.alerting is not None:
                await asyncio.to_thread(self.alerting.delivery.close)
            await asyncio.to_thread(self.reader.close)

    @property
    def has_begun(self) -> bool:
        """Whether the group has ever given out partitions; before that Faust has no consumer to be asked."""
        return self.group.generation > 0

    @property
    def is_idle(self) -> bool:
        """Whether everything there is has been read, folded, kept and written, as far as the broker said a moment ago."""
        return all(shell.is_idle for shell in self.shells.values())

    async def settled(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do, stage after stage; False if that did not come about in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                idle_for = 0
                while idle_for < 3:  # the next stage hears of what this one said last a moment later
                    for shell in self.shells.values():
                        if not shell.is_idle:
                            shell.keep_soon()
                    await asyncio.sleep(0.5)
                    idle_for = idle_for + 1 if self.is_idle else 0
                return True
        return False


def build_app(
    kafka: Connection,
    settings: ShellSettings,
    stages: Sequence[Stage[Any]],
    writer: Writer | None,
    alerting: Alerting | None = None,
) -> Worker:
    """Build the worker with these folds, the sink if there is a writer, and who tells of alerts; topics that are missing are made. Blocks, starts nothing.

    Raises: topics.TopicsUnfit - a topic is there, and not as it must be; KafkaException - no broker, or it refuses
    """
    cluster = _made_topics(kafka, stages, tells=alerting is not None)
    app = faust.App(kafka.prefix, broker=f"kafka://{kafka.bootstrap}", **faust_settings())
    shells: dict[str, Shell] = {}

    def positions() -> dict[TP, int]:
        return {tp: position for shell in shells.values() for tp, position in shell.positions().items()}

    build_transport(app, kafka.bootstrap, positions, kafka.librdkafka)
    group, reader = FaustGroup(app), LogReader(kafka.bootstrap, kafka.librdkafka)
    rows, letters = topics.rows(kafka.prefix), topics.dead_letters(kafka.prefix)
    outputs = Outputs(
        rows,
        cluster.partitions[rows],
        reader,
        LetterBox(letters, cluster.partitions[letters]),
        cluster.partitions,
        {table: (topic, cluster.partitions[topic]) for table, topic in _published(kafka).items()},
        kafka.schema_id,
    )

    def add(name: str, topic: str, producer: Producer, work: Work, *, its_own: ShellSettings, passing: Iterable[str] = ()) -> None:
        used = {topic, rows, *topics.state(kafka.prefix, name), *passing}
        shells[name] = Shell(
            name,
            Input(topic, cluster.cluster_id, its_own.inputs_from, {at: n for at, n in cluster.partitions.items() if at in used}),
            work,
            group=group,
            checkpoints=_checkpoints(kafka, name, producer, reader),
            producer=producer,
            reader=reader,
            settings=its_own,
        )

    folds = {}
    for stage in stages:
        producer, quiet = (
            Producer(kafka.bootstrap, kafka.librdkafka),
            QuietTime(speed=settings.time_speed, downtime_counts=settings.downtime_counts),
        )
        sources = (Source(name, topic, at) for name, topic in stage.upstream for at in range(cluster.partitions[topic]))
        hearing = Hearing(frozenset(sources), stage.apart) if stage.upstream else None
        folding = Folding(stage, producer, outputs, cluster_id=cluster.cluster_id, quiet=quiet, hearing=hearing)
        add(stage.name, stage.topic, producer, folding, its_own=settings, passing=stage.outputs.values())
        folds[stage.name] = folding
    sink = None
    if writer is not None:
        sink = Sinking(writer, lambda: shells[SINK].stir())  # noqa: PLW0108 - it is made below
        its_own = replace(settings, linger_s=0.0, max_batch_bytes=SINK_BATCH_BYTES)  # the writer makes batches by itself
        add(SINK, rows, Producer(kafka.bootstrap, kafka.librdkafka), sink, its_own=its_own)
    if alerting is not None:
        its_own = replace(settings, linger_s=0.0, inputs_from="earliest")  # what is not there any more is over
        alerts = topics.published(kafka.prefix, ALERTS.name)
        add(ALERTING, alerts, Producer(kafka.bootstrap, kafka.librdkafka), alerting, its_own=its_own)
        alerting.delivery.stirred = shells[ALERTING].stir
    for stage in stages:
        shells[stage.name].before = tuple(shells[name] for name, _ in stage.upstream if name != stage.name and name in shells)
    for shell in shells.values():
        _connect(app, shell)
    app.on_rebalance_complete.connect(TakeOvers(group, list(shells.values())).connected)
    return Worker(app, shells, folds, sink, alerting, reader, group)


def _made_topics(kafka: Connection, stages: Sequence[Stage[Any]], *, tells: bool) -> Cluster:
    """Make what is missing: first the inputs, whose partitions say how many the topics of state must have."""
    admin = AdminClient({**kafka.librdkafka, "bootstrap.servers": kafka.bootstrap}, logger=log)
    there = look_at(admin).partitions
    rows = topics.rows(kafka.prefix)
    read = {**{stage.name: stage.topic for stage in stages}, SINK: rows}
    passed = {topic for stage in stages for topic in stage.outputs.values()}
    partitions = {
        topic: 1 if topic in there or topic in kafka.undivided else kafka.partitions for topic in {*read.values(), *passed}
    }  # what is there may have any number

    def described(topic: str, n: int) -> Topic:
        if topic == rows:
            return Topic.of_rows(kafka.prefix, n)
        return Topic.of_passed(topic, n) if topic in passed else Topic.of_events(topic, n)

    inputs = [described(topic, n) for topic, n in partitions.items()]
    letters = Topic.of_dead_letters(kafka.prefix, 1 if topics.dead_letters(kafka.prefix) in there else kafka.partitions)
    published = [
        Topic.of_published(topic, 1 if topic in {*there, *kafka.undivided} else kafka.partitions, is_compacted=table in COMPACTED)
        for table, topic in _published(kafka).items()
    ]
    made = make_topics(admin, [*inputs, letters, *published], replication=kafka.replication)
    if kafka.state_dir is not None:
        return made
    there = made.partitions
    if tells:
        read[ALERTING] = topics.published(kafka.prefix, ALERTS.name)
    state = [topic for name, of in read.items() for topic in Topic.of_state(kafka.prefix, name, there[of])]
    return make_topics(admin, state, replication=kafka.replication)


def _published(kafka: Connection) -> dict[str, str]:
    """Table that others subscribe to -> its topic."""
    return {table: topics.published(kafka.prefix, table) for table in kafka.published}


def _checkpoints(kafka: Connection, stage: str, producer: Producer, reader: LogReader) -> Checkpoints:
    if kafka.state_dir is not None:
        return DirectoryCheckpoints(kafka.state_dir / stage)
    chunks, manifests = topics.state(kafka.prefix, stage)
    return KafkaCheckpoints(producer, reader, chunks=chunks, manifests=manifests)


def _connect(app: faust.App, shell: Shell) -> None:
    """An agent that hands runs over, and a task that turns the loop."""

    async def hand_over(stream: faust.StreamT[Run]) -> None:
        async for run in stream:  # never work or wait here: all streams share one delivery loop
            shell.inbox.put(run)

    async def turn() -> None:
        await or_end(shell.run())

    app.agent(app.topic(shell.topic, schema=RunSchema(), acks=False), name=f"{app.conf.id}.{shell.name}")(hand_over)
    app.task(turn)


class TakeOvers:
    """All stages take over what the group gave us, side by side. One that is slow, or blocked, does not keep the others waiting."""

    def __init__(self, group: FaustGroup, shells: Collection[Shell]) -> None:
        """Take the stages."""
        self._group, self._shells = group, shells
        self._resumed = -1  # the generation in which the flow has been resumed
        self._running: set[asyncio.Task[None]] = set()

    async def connected(self, *_: Any, **_options: Any) -> None:
        """Run in the signal `on_rebalance_complete`: the flow resumes when this returns."""
        generation = self._group.generation
        for shell in self._shells:
            shell.pause()
        waiting = {
            asyncio.create_task(self._take_over(shell, generation), name=f"take-over {shell.name}") for shell in self._shells
        }
        self._running |= waiting
        until = time.monotonic() + TAKE_OVER_PATIENCE_S
        while waiting and self._group.generation == generation and time.monotonic() < until:
            done, waiting = await asyncio.wait(waiting, timeout=0.2)
            self._running -= done
        self._resumed = generation
        if waiting:
            log.warning("the flow resumes without %s", sorted(task.get_name() for task in waiting))

    async def _take_over(self, shell: Shell, generation: int) -> None:
        try:
            await or_end(self._taken_over(shell))
            if self._resumed == self._group.generation == generation:  # the others went ahead
                await self._group.perform_seek(shell.positions().keys())
        finally:
            self._running.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    @staticmethod
    async def _taken_over(shell: Shell) -> None:
        try:
            await shell.take_over()
        except (PositionRefused, StateUnreadable) as refused:
            end_process(refused.with_traceback(None))  # no defect: a person must decide, and the message says between what
