"""Real brokers for tests: the embedded one and Apache Kafka, behind one fixture, so that every test of a broker runs on both."""

import logging
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import repeat
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from agents.child_process import ChildProcess
from agents.embedded_broker import BrokerNotStarted, free_port, start_broker, wait_until_it_answers

log = logging.getLogger(__name__)

T = TypeVar("T")

KAFKA_SCRIPT = Path(__file__).parents[1] / "deploy" / "kafka" / "kafka.sh"
UNAVAILABLE = 69
"""Exit code of kafka.sh when Java or Maven is missing."""
JVM_OPTIONS = "-Xms128m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""Starts fast and stays small."""
PASSING = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError._TRANSPORT, KafkaError._TIMED_OUT}
"""Answers of a broker that is coming back."""
FETCH_TIMEOUT_S, START_TIMEOUT_S, TIMEOUT_S = 300, 60.0, 20.0
LEFT_OUT = "every test on Apache Kafka was left out, and only the embedded broker was tested"
ATTEMPTS = 3
"""A free port may be taken by somebody else before the broker has it."""


class Embedded:
    """The embedded broker: in memory, so that a new start is another broker."""

    def __init__(self) -> None:
        self._broker = start_broker()
        self.bootstrap = self._broker.bootstrap

    def stop(self) -> None:
        self._broker.stop()


class Kafka:
    """Apache Kafka on loopback, from deploy/kafka."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        failure: BrokerNotStarted | None = None
        for _ in range(ATTEMPTS):
            self._ports = free_port(), free_port()
            try:
                self.start()
            except BrokerNotStarted as error:
                failure = error
                self.stop()
            else:
                return
        raise failure or BrokerNotStarted

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._ports[0]}"

    def start(self) -> None:
        port, controller_port = map(str, self._ports)
        self._child = ChildProcess(
            ["sh", str(KAFKA_SCRIPT), "--port", port, "--controller-port", controller_port, "--data", str(self.folder)],
            env={**os.environ, "KAFKA_JVM_OPTIONS": JVM_OPTIONS},
        )
        wait_until_it_answers(self.bootstrap, self._child, START_TIMEOUT_S)

    def stop(self, *, politely: bool = False) -> None:
        if politely:
            self._child.stop(patience_s=START_TIMEOUT_S)
        else:
            self._child.kill()


@dataclass
class BrokerInTest:
    """A running broker as one test sees it: with names of its own."""

    kind: str
    """`embedded` or `kafka`."""
    server: Embedded | Kafka
    prefix: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}")
    """New with every test: for topics, groups and what else has a name on a broker."""

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return self.server.bootstrap

    @property
    def is_durable(self) -> bool:
        """Whether it keeps what it has over a restart."""
        return isinstance(self.server, Kafka)

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap}, logger=log)

    @cached_property
    def _producer(self) -> Producer:
        # Not idempotent, which costs a second at the first record; in order, for nothing is tried twice.
        return self.producer({"acks": "all", "retries": 0, "linger.ms": 5, "queue.buffering.max.messages": 200_000})

    def producer(self, settings: dict[str, Any] | None = None) -> Producer:
        """Make a producer of the test's own."""
        return Producer({"bootstrap.servers": self.bootstrap, **(settings or {})}, logger=log)

    def consumer(self, group: str | None = None, settings: dict[str, Any] | None = None, **callbacks: Any) -> Consumer:
        """Make a consumer of the test's own that commits nothing by itself; close it."""
        own = {"enable.auto.commit": False, "auto.offset.reset": "earliest", "partition.assignment.strategy": "range"}
        own |= {"session.timeout.ms": 6_000, "heartbeat.interval.ms": 500, "fetch.wait.max.ms": 100}
        named = {"bootstrap.servers": self.bootstrap, "group.id": group or f"{self.prefix}.reader"}
        return Consumer({**own, **named, **(settings or {}), **callbacks}, logger=log)

    def create_topics(self, name: str, partitions: int = 1, **config: str) -> str:
        """Make a topic and return its name: `name` after the prefix, unless it begins with that already.

        In the names of settings stands `_` for the dot: `cleanup_policy="compact"`.
        """
        topic = name if name.startswith(self.prefix) else f"{self.prefix}.{name}"
        settings = {key.replace("_", "."): value for key, value in config.items()}
        self.admin.create_topics([NewTopic(topic, partitions, 1, config=settings)])[topic].result(TIMEOUT_S)
        until = time.monotonic() + TIMEOUT_S
        while not self._is_known(topic, partitions):  # a client that asks too early waits for its next look at the metadata
            assert time.monotonic() < until, f"{topic} was created, and is not there"
            time.sleep(0.02)
        return topic

    def _is_known(self, topic: str, partitions: int) -> bool:
        known = self.admin.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
        return not known.error and sum(at.leader >= 0 for at in known.partitions.values()) == partitions

    def produce(
        self,
        topic: str,
        partition: int,
        values: Iterable[bytes | None],
        *,
        keys: Iterable[bytes | None] = repeat(None),
        record_times_ms: Iterable[int] = repeat(0),
    ) -> list[int]:
        """Write records and return their offsets, in this order; record time 0 is now."""
        offsets: list[int] = []

        def told(error: Any, message: Message) -> None:
            if error:
                raise KafkaException(error)
            offsets.append(cast("int", message.offset()))

        for value, key, at_ms in zip(values, keys, record_times_ms, strict=False):
            while True:
                try:
                    self._producer.produce(topic, value, key, partition, on_delivery=told, timestamp=at_ms)
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self._producer.poll(0)
        assert self._producer.flush(TIMEOUT_S) == 0, f"{topic}-{partition}: the broker took no more"
        return offsets

    def end_offsets(self, topic: str) -> list[int]:
        """Offset that the next record gets, by partition."""
        consumer = self.consumer(settings={"enable.partition.eof": True})
        ends: dict[int, int] = {}
        try:
            partitions = self.admin.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
            asked = [TopicPartition(topic, partition) for partition in partitions]
            # From a fetch: asked for it, the embedded broker says where its last batch begins, plus one.
            for at in asked:
                _, at.offset = in_the_end(partial(consumer.get_watermark_offsets, at, timeout=TIMEOUT_S))
            consumer.assign(asked)
            until = time.monotonic() + TIMEOUT_S
            while len(ends) < len(asked):
                assert time.monotonic() < until, f"{topic}: the ends of {sorted(partitions.keys() - ends.keys())} are not told"
                for message in consumer.consume(1_000, 0.05):
                    error = message.error()
                    if error and error.code() == KafkaError._PARTITION_EOF:
                        ends[cast("int", message.partition())] = cast("int", message.offset())
        finally:
            consumer.close()
        return [ends[partition] for partition in sorted(ends)]

    def read(self, topic: str, partitions: Sequence[int] | None = None) -> list[Message]:
        """Read all there is now, of all partitions or of these, one partition after the other."""
        ends = self.end_offsets(topic)
        consumer = self.consumer()
        found: list[Message] = []
        try:
            for partition in range(len(ends)) if partitions is None else partitions:
                at, end = TopicPartition(topic, partition), ends[partition]
                first, _ = in_the_end(partial(consumer.get_watermark_offsets, at, timeout=TIMEOUT_S))
                consumer.assign([TopicPartition(topic, partition, first)])
                until = time.monotonic() + TIMEOUT_S
                while max(first, consumer.position([TopicPartition(topic, partition)])[0].offset) < end:
                    assert time.monotonic() < until, f"{topic}-{partition}: {len(found)} records read, offset {end} not reached"
                    messages = consumer.consume(1_000, 0.1)
                    assert not any(map(Message.error, messages)), [message.error() for message in messages if message.error()]
                    found += messages
        finally:
            consumer.close()
        return found

    def committed(self, group: str, topic: str, partitions: int) -> list[int | None]:
        """Offset committed by a group, by partition."""
        consumer = self.consumer(group)
        try:
            asked = consumer.committed([TopicPartition(topic, partition) for partition in range(partitions)], timeout=TIMEOUT_S)
        finally:
            consumer.close()
        return [at.offset if at.offset >= 0 else None for at in asked]

    def restart(self, *, kill: bool = False) -> None:
        """End the broker and start it again, on the same port and with what it held; only where `is_durable`."""
        assert isinstance(self.server, Kafka), "the embedded broker holds everything in memory"
        self.server.stop(politely=not kill)
        self.server.start()


def in_the_end(ask: Callable[[], T]) -> T:
    """What the broker answers, if need be when it has come back and leads its partitions again."""
    until = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in PASSING or time.monotonic() > until:
                raise
        time.sleep(0.05)


class Servers:
    """One server of each kind, started when the first test asks for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, Embedded | Kafka] = {}
        self._failed: dict[str, BrokerNotStarted] = {}

    def running(self, kind: str) -> Embedded | Kafka:
        if kind in self._failed:  # once is enough: it takes minutes
            raise self._failed[kind]
        if kind not in self._running:
            try:
                self._running[kind] = Kafka(self._folder) if kind == "kafka" else Embedded()
            except BrokerNotStarted as error:
                self._failed[kind] = error
                raise
        return self._running[kind]

    def stop(self) -> None:
        for server in self._running.values():
            server.stop()


def why_no_kafka() -> str | None:
    """Why the real broker cannot be had on this machine; None if it can."""
    resolved = subprocess.run(
        ["sh", str(KAFKA_SCRIPT), "--resolve"], check=False, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S
    )
    if resolved.returncode == UNAVAILABLE:
        return resolved.stderr.strip().removeprefix("kafka.sh: ")
    assert resolved.returncode == 0, resolved.stderr
    return None


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "xdist_group(name): in one process with the others of this name")  # also without xdist


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say once, and not of every test, that the real broker's half was left out: pytest folds what was left out in one place."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and LEFT_OUT in report.longrepr[2]:
        report.longrepr = (__file__, 0, report.longrepr[2])
    return report


@pytest.fixture(scope="session")
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("kafka"))
    yield servers
    servers.stop()


@pytest.fixture(scope="session")
def _no_kafka() -> str | None:
    return why_no_kafka()


EMBEDDED = pytest.param("embedded", marks=pytest.mark.broker)
# One group: the real broker starts once, however many processes run the tests.
KAFKA = pytest.param("kafka", marks=[pytest.mark.broker, pytest.mark.kafka, pytest.mark.xdist_group("kafka")])


def broker_in_test(request: pytest.FixtureRequest) -> BrokerInTest:
    """Start what the test asks for, or leave the test out, in one plain sentence; where everything must run, it fails."""
    if request.param == "kafka" and (why := request.getfixturevalue("_no_kafka")):
        left_out = f"{LEFT_OUT}: {why}"
        if os.environ.get("CI"):
            pytest.fail(left_out, pytrace=False)
        pytest.skip(left_out)
    return BrokerInTest(request.param, request.getfixturevalue("_servers").running(request.param))


@pytest.fixture(params=[EMBEDDED, KAFKA])
def broker(request: pytest.FixtureRequest) -> BrokerInTest:
    """The embedded broker and Apache Kafka, one after the other."""
    return broker_in_test(request)


@pytest.fixture(params=[KAFKA])
def kafka_broker(request: pytest.FixtureRequest) -> BrokerInTest:
    """Apache Kafka, for what the embedded broker cannot do: keep, compact, refuse."""
    return broker_in_test(request)
