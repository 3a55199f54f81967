"""Whether emitters keep to the contract of keys: the key of a clickstream event is its visitor, and lies where Kafka's partitioner puts it.

A visitor whose events lie in two partitions becomes two, and nothing would say so. The last records of every partition are looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import polars as pl

from agents.log_reader import LogReader
from agents.partitioner import partition_of
from pipeline.checks import Bounds
from pipeline.decode import Records, decode

RECORDS = 500
"""Records of each partition that are looked at."""
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


def keys_of(reader: LogReader, topic: str, n_partitions: int, writers: Mapping[int, Mapping[str, Any]]) -> Keys:
    """Look at the last records of every partition. Raises: TimeoutError, KafkaException."""
    keys = Keys()
    for partition in range(n_partitions):
        bounds = reader.bounds(topic, partition)
        records = reader.read(topic, partition, max(bounds.first, bounds.end - RECORDS), bounds.end - 1)
        for record in records:
            keys.n += 1
            if record.key is None:
                keys.n_without += 1
            elif partition_of(record.key, n_partitions) != partition:
                keys.n_misplaced += 1
                keys.example.setdefault("misplaced", f"{shown(record.key)} in {partition}")
        n = len(records)
        said = Records(
            [partition] * n,
            [each.offset for each in records],
            [0] * n,
            [each.key for each in records],
            [each.value for each in records],
        )
        _compare(keys, said, writers)
    return keys


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
