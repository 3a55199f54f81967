"""`ebbtide replay --topic`: a range of a topic once more through decode and its fold, in this process. Nothing is written anywhere.

That is how a batch that stopped a worker is looked at. The state is the one the worker would begin with: the newest checkpoint, which a
defect leaves as it was, and what lies between it and the batch.

Cases:   the checkpoint is behind the batch already, of another broker, or there is none -> from an empty state, and a warning
Raises:  whatever the fold raises; RangeWrong - the options do not fit together, or what they name is not on the broker
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient

from agents.log_reader import LogReader, Record
from agents.manifests import Manifest
from agents.newest_checkpoints import InFolder, NewestCheckpoints, OnTopics
from agents.registry import decoder, open_registry
from agents.settings import Settings
from agents.topics import look_at
from pipeline.decode import Decoded, Records
from pipeline.fold import Step
from pipeline.sessions import SessionsFold
from pipeline.watermark import UNREAD, from_ms, in_each

log = logging.getLogger(__name__)


class RangeWrong(ValueError):
    """The range cannot be folded; the message says why, and what to do."""


@dataclass(frozen=True)
class Range:
    """Which records, by partition."""

    first: Mapping[int, int]
    """First offset of the batch; a partition without one is only brought to `last`."""
    last: Mapping[int, int]
    """Last offset; a partition without one is read to its end."""
    watermark_ms: Mapping[int, int] = field(default_factory=dict)
    """How far time had come in the step, at least."""

    @property
    def partitions(self) -> list[int]:
        """All that are named."""
        return sorted(self.first.keys() | self.last.keys())


@dataclass
class Folded:
    """What the batch became."""

    records: int = 0
    before: int = 0
    """Records folded before it, to bring the state to where the batch found it."""
    fates: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    tables: dict[str, int] = field(default_factory=dict)
    """Table -> rows that would have been said."""

    def as_json(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            "records": self.records,
            "before": self.before,
            "fates": dict(self.fates),
            "rejects": dict(self.reasons),
            "rows": self.tables,
        }


def fold_range(settings: Settings, topic: str, chosen: Range, data_dir: Path | None = None) -> Folded:
    """Fold what lies before the batch since the checkpoint, then the batch, in one step.

    The checkpoint is in the folder of `ebbtide up --data-dir`, if one is named, and else on topics.
    """
    kafka = settings.kafka
    if topic != kafka.clickstream_topic:
        message = f"no fold reads {topic}; {kafka.clickstream_topic} is read by sessions"
        raise RangeWrong(message)
    cluster = look_at(AdminClient({**kafka.librdkafka, "bootstrap.servers": kafka.bootstrap}, logger=log))
    if strange := [at for at in chosen.partitions if at >= cluster.partitions.get(topic, 0)]:
        message = f"{topic} has {cluster.partitions.get(topic, 0)} partitions, and none with the number {strange[0]}"
        raise RangeWrong(message)
    reader = LogReader(kafka.bootstrap, kafka.librdkafka)
    try:
        stage = SessionsFold.name
        kept = OnTopics(reader, kafka, stage, cluster) if data_dir is None else InFolder(data_dir, stage)
        return _Again(settings, topic, reader, kept, cluster.cluster_id).fold(chosen)
    finally:
        reader.close()


class _Again:
    """A fold brought to where the batch found it."""

    def __init__(self, settings: Settings, topic: str, reader: LogReader, kept: NewestCheckpoints, cluster_id: str) -> None:
        self._topic, self._reader, self._kept, self._cluster_id = topic, reader, kept, cluster_id
        self._fold = SessionsFold(settings.session_rules())
        registry = open_registry(settings.kafka.schema_registry_url, clickstream_topic=topic)
        self._decode = decoder(registry, self._fold.family, settings.bounds())
        self._state = self._fold.empty()
        self._reached: dict[int, int] = {}

    def fold(self, chosen: Range) -> Folded:
        before: list[tuple[int, list[Record]]] = []
        batch: list[tuple[int, list[Record]]] = []
        for partition in chosen.partitions:
            bounds = self._reader.bounds(self._topic, partition)
            last = chosen.last.get(partition)
            if last is None:
                last = self._reader.end(self._topic, partition, bounds.end) - 1
            first = chosen.first.get(partition, last + 1)
            position = self._restored(partition, first)
            if partition in chosen.first and first < bounds.first:
                message = (
                    f"{self._topic}-{partition}: offset {first} is not on the broker any more; the first one is {bounds.first}"
                )
                raise RangeWrong(message)
            before.append((partition, list(self._reader.read(self._topic, partition, max(bounds.first, position + 1), first - 1))))
            batch.append((partition, list(self._reader.read(self._topic, partition, first, last))))
        folded = Folded(before=sum(len(records) for _, records in before), records=sum(len(records) for _, records in batch))
        if folded.before:
            self._step(_records(before))
        for partition, ms in chosen.watermark_ms.items():
            self._reached[partition] = max(ms, self._reached.get(partition, UNREAD))
        decoded, done = self._step(_records(batch))
        folded.fates.update({"rejected": decoded.rejects.height})
        for fate, n in done.fates.select("fate", "n").rows():
            folded.fates[fate] += n
        folded.reasons.update([*decoded.rejects["reason"].to_list(), *done.rejects["reason"].to_list()])
        folded.tables = {name: rows.height for name, rows in done.tables.items()}
        return folded

    def _step(self, records: Records) -> tuple[Decoded, Step[Any]]:
        decoded = self._decode(records)
        done = self._fold.step(self._state, decoded.events, from_ms(self._reached))
        self._state = done.state
        self._reached = in_each(done.watermarks)
        return decoded, done

    def _restored(self, partition: int, first: int) -> int:
        """Restore what was kept of a partition before the batch; returns the position of that."""
        best = self._kept.manifest(partition)
        where = f"{self._topic}-{partition}"
        if best is None or best.cluster_id != self._cluster_id:
            log.warning("%s: there is no checkpoint of this broker: the batch is folded over an empty state", where)
        elif best.standing.position >= first:
            log.warning(
                "%s: the checkpoint stands at offset %d: the batch is folded over an empty state", where, best.standing.position
            )
        else:
            self._restore(partition, best)
            return best.standing.position
        return first - 1

    def _restore(self, partition: int, best: Manifest) -> None:
        self._state = self._state.restored(partition, self._kept.load(partition, best))
        standing = best.standing
        self._reached[partition] = UNREAD if standing.watermark_ms is None else standing.watermark_ms


def _records(found: Iterable[tuple[int, Sequence[Record]]]) -> Records:
    every = [(partition, record) for partition, records in found for record in records]
    return Records(
        [partition for partition, _ in every],
        [record.offset for _, record in every],
        [record.at_ms for _, record in every],
        [record.key for _, record in every],
        [record.value for _, record in every],
    )
