"""A client that reads what lies where on the broker: manifests, chunks, the ends of logs. It is in no group."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, TopicPartition

log = logging.getLogger(__name__)

POLL_S = 0.02
"""A poll waits for a full batch or this long."""
ASK_AGAIN_S = 0.25
BATCH = 1_000


class NoAnswer(TimeoutError):
    """The broker was silent for too long, or did not show what it had said was there."""


@dataclass(frozen=True)
class Record:
    """One message of a log."""

    offset: int
    key: bytes | None
    value: bytes | None
    """None: a tombstone."""
    at_ms: int = 0
    """Record time."""


@dataclass(frozen=True)
class LogBounds:
    """What of a partition is on the broker: [first, end)."""

    first: int
    end: int


class LogReader:
    """Reads any partition of any topic, for whoever asks; from any thread, for callers wait for each other.

    One for all, kept open: each reader is a client with its threads and connections.
    """

    def __init__(self, bootstrap: str, extra: Mapping[str, object], *, patience_s: float = 60.0) -> None:
        """Make the client; a broker that is silent for longer than `patience_s` is NoAnswer."""
        self._patience_s = patience_s
        self._asking = threading.Lock()
        self._client = Client(
            {
                "fetch.wait.max.ms": 50,
                "fetch.message.max.bytes": 4 << 20,
                "queued.min.messages": 1_000,
                "fetch.queue.backoff.ms": 5,  # else a reader who is slower than the broker waits a second when the queue was full
                **extra,
                "bootstrap.servers": bootstrap,
                "group.id": "ebbtide-reader",  # must be there; it is never joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
            },
            logger=log,
        )

    def bounds(self, topic: str, partition: int) -> LogBounds:
        """Ask where a log begins and ends. The end may be too low: some brokers tell that of the beginning of the last batch."""
        until = time.monotonic() + self._patience_s
        while True:
            try:
                with self._asking:
                    answer = self._client.get_watermark_offsets(TopicPartition(topic, partition), timeout=10.0)
            except KafkaException as error:
                if not error.args[0].retriable() and error.args[0].code() not in _PASSING:
                    raise
                answer = None
            if answer is not None:
                return LogBounds(*answer)
            if time.monotonic() >= until:
                message = f"no answer within {self._patience_s:.0f} s about the offsets of {topic}-{partition}"
                raise NoAnswer(message)
            time.sleep(ASK_AGAIN_S)

    def end(self, topic: str, partition: int, known: int, patience_s: float = 5.0) -> int:
        """Read on from an end that may be too low, until there is nothing more or for so long; returns the end found."""
        until = time.monotonic() + patience_s
        with self._asking:
            self._client.assign([TopicPartition(topic, partition, known)])
            try:
                while time.monotonic() < until:
                    for message in self._client.consume(BATCH, POLL_S):
                        offset, error = cast("int", message.offset()), message.error()
                        if error is None:
                            known = offset + 1
                        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own
                            return max(known, offset)
            finally:
                self._client.unassign()
        return known

    def read(self, topic: str, partition: int, first: int, last: int) -> Iterator[Record]:
        """Read all that is left of [first, last]. Waits until `last`, or what stands in its place, can be read. Others wait until it is all taken.

        Raises: NoAnswer - nothing came for so long; KafkaException - the broker refuses
        """
        if first > last:
            return
        with self._asking:
            self._client.assign([TopicPartition(topic, partition, first)])
            try:
                yield from self._read_assigned(topic, partition, last)
            finally:
                self._client.unassign()

    def _read_assigned(self, topic: str, partition: int, last: int) -> Iterator[Record]:
        heard = time.monotonic()
        while True:
            for message in self._client.consume(BATCH, POLL_S):
                offset, error = cast("int", message.offset()), message.error()
                if error is not None:
                    # The end of the log below `last`: the broker does not show yet what it has acknowledged.
                    if error.code() == KafkaError._PARTITION_EOF and offset > last:  # noqa: SLF001 - librdkafka's own
                        return
                    if error.code() not in _PASSING and not error.retriable():
                        raise KafkaException(error)
                    continue
                heard = time.monotonic()
                if offset <= last:
                    yield Record(offset, message.key(), message.value(), message.timestamp()[1])
                if offset >= last:
                    return
            if time.monotonic() - heard >= self._patience_s:
                silence = f"{topic}-{partition}: offset {last} could not be read within {self._patience_s:.0f} s"
                raise NoAnswer(silence)

    def follow(self, topic: str, begins: Mapping[int, int]) -> Iterator[Record]:
        """All of these partitions from there on, as it comes; for ever, and through outages of the broker. Others wait meanwhile.

        Raises: KafkaException - the broker refuses
        """
        with self._asking:
            self._client.assign([TopicPartition(topic, partition, begin) for partition, begin in begins.items()])
            try:
                while True:
                    for message in self._client.consume(BATCH, ASK_AGAIN_S):
                        error = message.error()
                        if error is None:
                            yield Record(cast("int", message.offset()), message.key(), message.value(), message.timestamp()[1])
                        elif error.code() not in _PASSING and not error.retriable():
                            raise KafkaException(error)
            finally:
                self._client.unassign()

    def close(self) -> None:
        """Disconnect, unless somebody is reading and does not end: then the process's end does it."""
        if self._asking.acquire(timeout=1.0):
            self._client.close()
            self._asking.release()


# librdkafka's own codes begin with an underscore.
_PASSING = {
    KafkaError.NOT_LEADER_FOR_PARTITION,  # a topic that was made a moment ago, a broker that comes back
    KafkaError.LEADER_NOT_AVAILABLE,  # as above
    KafkaError._PARTITION_EOF,  # noqa: SLF001 - librdkafka's own
    KafkaError._TRANSPORT,  # noqa: SLF001 - librdkafka's own
    KafkaError._TIMED_OUT,  # noqa: SLF001 - librdkafka's own
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - librdkafka's own
    KafkaError._RESOLVE,  # noqa: SLF001 - librdkafka's own
}
