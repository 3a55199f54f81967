"""Clicks on a real broker, the worker with the counting fold that reads them, and what it must have said in the end."""

import asyncio
import time

from confluent_kafka import KafkaError, TopicPartition

from agents.app import Connection, build_app
from agents.stages import ShellSettings
from tests.counting import Shown, counting_stage, truth, value

PARTITIONS = 4
QUICK = ShellSettings(linger_s=0.02, checkpoint_s=0.3)


class Clicks:
    """Events on a topic; a visitor is always in the same partition."""

    def __init__(self, broker, topic="clicks", visitors=300):
        self.broker, self.visitors = broker, visitors
        self.topic = broker.create_topics(topic, PARTITIONS)
        self.made = 0

    def make(self, n):
        """Produce more events."""
        now_ms = int(time.time() * 1_000)
        numbers = range(self.made, self.made + n)
        for partition in range(PARTITIONS):
            mine = (number for number in numbers if number % self.visitors % PARTITIONS == partition)
            self.broker.produce(self.topic, partition, (value(f"v{number % self.visitors}", number, now_ms) for number in mine))
        self.made += n

    @property
    def expected(self):
        """Visitor -> (events, sum of their numbers)."""
        return truth((f"v{number % self.visitors}", number) for number in range(self.made))


class MemoryWriter:
    """A store in memory: the newest version of every session."""

    full = False

    def __init__(self):
        self.sessions = {}

    def put(self, table, rows, done):
        if table == "sessions":
            for row in rows.to_pylist():
                known = self.sessions.get(row["visitor_id"])
                if known is None or row["version"] > known["version"]:
                    self.sessions[row["visitor_id"]] = row
        done()

    def counts(self):
        return {visitor: (row["n_events"], row["engaged_ms"]) for visitor, row in self.sessions.items()}


class StuckWriter:
    """A store that has gone away: it takes one batch, and never says that it has it."""

    full = False

    def put(self, _table, _rows, _done):
        self.full = True


def worker_on(broker, clicks, writer=None, settings=QUICK):
    """The worker with the counting fold, not running yet."""
    return build_app(Connection(broker.bootstrap, broker.prefix), settings, [counting_stage(clicks.topic)], writer)


def counted(worker, stage="counts"):
    """How many events are in the state, of the partitions held."""
    return sum(fates.get("applied", 0) for fates in worker.folds[stage].fates.values())


async def until(condition, timeout_s=60.0):
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


def shown(broker):
    """What the rows topic says in the end."""
    found = Shown()
    for partition in range(PARTITIONS):
        found.read(message.value() for message in everything(broker, f"{broker.prefix}.rows", partition))
    assert found.conflicts == []
    return found


def everything(broker, topic, partition):
    """All messages of a partition, to where the fetch says it ends: what the embedded broker says when asked may be too low."""
    consumer, found = broker.consumer(settings={"enable.partition.eof": True}), []
    consumer.assign([TopicPartition(topic, partition, 0)])
    try:
        while True:
            for message in consumer.consume(1_000, 0.1):
                if message.error() is None:
                    found.append(message)
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    return found
    finally:
        consumer.close()
