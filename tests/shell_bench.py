"""A shell around the counting fold, on a broker in memory."""

import asyncio

from confluent_kafka import Message
from faust.types import TP

from agents.dead_letter_topic import LetterBox
from agents.folding import Folding
from agents.kafka_checkpoints import KafkaCheckpoints
from agents.log_reader import Record
from agents.outputs import Outputs
from agents.quiet_time import QuietTime
from agents.runs import Run
from agents.shell import Shell
from agents.stages import ShellSettings, Stage
from agents.takeover import Input
from tests.counting import CountingFold, Shown, decode, value
from tests.memory_log import MemoryLog

NOON_MS = 1_700_000_000_000
SETTINGS = ShellSettings(linger_s=0.0, checkpoint_s=0.05)


class OneMember:
    """A consumer group with one member."""

    def __init__(self, log, *partitions):
        self.log = log
        self.generation, self.seeks, self.is_rebalancing = 1, 0, False
        self.assigned = {TP("clicks", partition) for partition in partitions}
        self.fetch_at, self.sought = {}, []
        self.is_caught_up = False

    def assignment(self):
        return self.assigned

    async def fetched(self, tp):
        return self.fetch_at.get(tp)

    def caught_up(self, _tp, _position):
        return self.is_caught_up

    def hold(self, tps):
        self.log.trail.append(("held", sorted(tps)))

    def release(self, tps):
        self.log.trail.append(("released", sorted(tps)))

    async def perform_seek(self, only):
        self.seeks += 1
        self.sought.append(set(only))

    async def commit_positions(self, positions):
        self.log.trail.append(("committed", positions))


class Bench:
    """A shell around the counting fold, on a broker in memory."""

    def __init__(self, log, *partitions, fold=None, settings=SETTINGS, clock=None, rows_partitions=1):
        self.log, self.group = log, OneMember(log, *partitions)
        stage = Stage("counts", "clicks", fold or CountingFold(), decode)
        quiet = QuietTime(speed=3_600.0)
        self.work = Folding(
            stage, log, Outputs("rows", rows_partitions, log, LetterBox("letters", 1)), cluster_id="cluster", quiet=quiet
        )
        clocks = {"clock": clock} if clock else {}
        self.shell = Shell(
            "counts",
            Input("clicks", "cluster"),
            self.work,
            group=self.group,
            checkpoints=KafkaCheckpoints(log, log, chunks="chunks", manifests="manifests"),
            producer=log,
            reader=log,
            settings=settings,
            **clocks,
        )

    def arrive(self, *offsets, partition=0, after=None):
        """Hand over records that lie in the log."""
        log = self.log.partitions["clicks", partition]
        run = Run(after=offsets[0] - 1 if after is None else after, seeks=self.group.seeks)
        run.add(
            [
                Message(topic="clicks", partition=partition, offset=at, key=b"k", value=log[at].value, timestamp=(1, NOON_MS))
                for at in offsets
            ]
        )
        self.shell.inbox.put(run)

    async def until(self, condition, timeout_s=5.0):
        """Turn the loop until this is so."""
        turning = asyncio.create_task(self.shell.run())
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    assert not turning.done(), await turning
                    await asyncio.sleep(0.005)
        finally:
            turning.cancel()

    def position(self, partition=0):
        return self.shell.positions().get(TP("clicks", partition))

    @property
    def is_kept(self):
        return self.log.trail[-1][0] == "committed"


def with_clicks(*visitors, partitions=(0,)):
    log = MemoryLog()
    for partition in partitions:
        log.partitions["clicks", partition] = [
            Record(at, b"k", value(visitor, at, NOON_MS) if visitor else b"\xff") for at, visitor in enumerate(visitors)
        ]
    return log


def shown(log, partitions=1):
    reader = Shown()
    for partition in range(partitions):
        reader.read(record.value for record in log.partitions["rows", partition])
    assert reader.conflicts == []
    return reader
