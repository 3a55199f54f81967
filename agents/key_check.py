"""Whether emitters keep to the contract of keys: the key of a clickstream event is its visitor, and lies where Kafka's partitioner puts it.

A visitor whose events lie in two partitions becomes two, and nothing would say so. The last records of every partition are looked at.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import polars as pl
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from agents.partitioner import partition_of
from agents.settings import KafkaSettings
from pipeline.checks import Bounds
from pipeline.decode import Records, decode

RECORDS = 500
"""Records of each partition that are looked at."""
MOST = 100 * RECORDS
"""Records of a partition after which the end is no longer waited for."""
PATIENCE_S = 5.0
"""How long a broker may be silent."""
QUIET = logging.getLogger("agents.checking.clients")
"""Where clients say that nobody answers: that is what is reported."""
ANY_TIME = Bounds(max_future=timedelta(days=36_500))
"""What a record says is judged elsewhere; here only its visitor counts."""


@dataclass
class Keys:
    """What was found of the keys."""

    n: int = 0
    """Records looked at."""
    n_without: int = 0
    """Records without a key: they may lie anywhere."""
    n_misplaced: int = 0
    """Keys in another partition than the partitioner says."""
    n_other: int = 0
    """Keys that are not the `visitor_id` of their event."""
    unread: int = 0
    """Records that could not be decoded, so that nobody knows their visitor."""
    example: dict[str, str] = field(default_factory=dict)
    """Kind of fault -> one key that has it."""

    def faults(self, topic: str) -> list[str]:
        """What is wrong, one sentence each."""
        told = []
        if self.n_without:
            told.append(f"{self.n_without} of {self.n} records of {topic} have no key: the events of one visitor lie anywhere")
        if self.n_misplaced:
            told.append(
                f"{self.n_misplaced} of {self.n} keys of {topic} lie in another partition than murmur2 says ({self.example['misplaced']}): "
                "an emitter has another partitioner (librdkafka: set partitioner=murmur2_random), or partitions were added"
            )
        if self.n_other:
            told.append(
                f"{self.n_other} of {self.n} keys of {topic} are not the visitor_id of their event ({self.example['other']})"
            )
        return told


def keys_of(client: Consumer, topic: str, n_partitions: int, writers: Mapping[int, Mapping[str, Any]]) -> Keys:
    """Look at the last records of every partition. Raises: TimeoutError, KafkaException, RegistryUnavailable."""
    keys = Keys()
    for partition in range(n_partitions):
        found = last_records(client, topic, partition, RECORDS)
        for message in found:
            keys.n += 1
            key = message.key()
            if key is None:
                keys.n_without += 1
            elif partition_of(key, n_partitions) != partition:
                keys.n_misplaced += 1
                keys.example.setdefault("misplaced", f"{shown(key)} in {partition}")
        offsets = [message.offset() or 0 for message in found]
        keys_, values = [message.key() for message in found], [message.value() for message in found]
        _compare(keys, Records([partition] * len(found), offsets, [0] * len(found), keys_, values), writers)
    return keys


def last_records(client: Consumer, topic: str, partition: int, n: int) -> list[Message]:
    """The last so many records up to the end, which only a fetch tells: asked for it, some brokers say where their last batch begins."""
    first, end = client.get_watermark_offsets(TopicPartition(topic, partition), timeout=PATIENCE_S)
    client.assign([TopicPartition(topic, partition, max(first, end - n))])
    found: list[Message] = []
    heard = time.monotonic()
    while time.monotonic() - heard < PATIENCE_S:
        for message in client.consume(n, 0.1):
            error = message.error()
            if error is None:
                found.append(message)
                heard = time.monotonic()
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own codes begin with an underscore
                return found[-n:]
            elif not error.retriable() and error.code() != KafkaError._TRANSPORT:  # noqa: SLF001 - as above
                raise KafkaException(error)
        if len(found) >= MOST:  # the topic grows as fast as we read
            return found
    silence = f"{topic}-{partition} could not be read within {PATIENCE_S:.0f} s"
    raise TimeoutError(silence)


@contextmanager
def reading(kafka: KafkaSettings) -> Iterator[Consumer]:
    """A client that is in no group and commits nothing."""
    settings = {
        **kafka.librdkafka,
        "bootstrap.servers": kafka.bootstrap,
        "group.id": f"{kafka.prefix}.check",  # must be there; it is never joined
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
    client = Consumer(settings, logger=QUIET)
    try:
        yield client
    finally:
        client.close()


def _compare(keys: Keys, records: Records, writers: Mapping[int, Mapping[str, Any]]) -> None:
    """Hold the keys against the visitors."""
    visitors: pl.DataFrame = decode(records, "clickstream", writers, ANY_TIME).events.select("offset", "visitor_id")
    keys.unread += len(records) - visitors.height
    key_of = dict(zip(records.offsets, records.keys, strict=True))
    for offset, visitor_id in visitors.rows():
        key = key_of[offset]
        if key is not None and key != visitor_id.encode():
            keys.n_other += 1
            keys.example.setdefault("other", f"{shown(key)} for {visitor_id}")


def shown(key: bytes) -> str:
    """A key for people."""
    return key.decode(errors="backslashreplace")[:60]
