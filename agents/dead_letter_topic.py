"""The topic of dead letters, for whoever wants to hear of them at once: each record as it came, with its place and the reason in headers.

**Delivery:** at least once, before the position that covers the record is kept; what was said after the last checkpoint is said again. A reader
knows a record again by cluster, topic, partition and offset.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from agents.checkpoints import Writing
from agents.dead_letters import LARGEST_PAYLOAD, LONGEST_KEY
from agents.producer import Headers, Sent


class Posting(Writing, Protocol):
    """What is asked of the producer (agents.producer.Producer)."""

    def send(
        self, topic: str, partition: int, value: bytes | None, key: bytes | None = None, headers: Headers | None = None
    ) -> Sent:
        """Put a message on its way."""


@dataclass(frozen=True)
class LetterBox:
    """Where dead letters go."""

    topic: str
    partitions: int

    def post(self, producer: Posting, rejects: Mapping[int, pl.DataFrame], **known: str) -> None:
        """Send them, all of a source partition into one partition, in their order; `known` are headers of all.

        Frames: source partition -> REJECTS
        """
        for partition, of_partition in rejects.items():
            for key, value, headers in _records(of_partition, known):
                producer.send(self.topic, partition % self.partitions, value, key, headers)


def _records(rejects: pl.DataFrame, known: Mapping[str, str]) -> Iterator[tuple[bytes | None, bytes | None, Headers]]:
    """Key, value and headers of each. A null is no header; what is too large for a message is cut, and a header tells its size."""
    at_ms = pl.col("record_at").dt.epoch("ms")
    for row in rejects.with_columns(at_ms.alias("record_at_ms")).iter_rows(named=True):
        key, value = row["key"], row["payload"]
        said = {**known, **{name: row[name] for name in ("partition", "offset", "record_at_ms", "reason", "detail", "schema_id")}}
        if value is not None and len(value) > LARGEST_PAYLOAD:
            said["cut_from_bytes"], value = len(value), value[:LARGEST_PAYLOAD]
        if key is not None and len(key) > LONGEST_KEY:
            said["key_cut_from_bytes"], key = len(key), key[:LONGEST_KEY]
        yield key, value, [(name, str(each).encode()) for name, each in said.items() if each is not None]
