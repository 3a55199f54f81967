"""Names of topics, and how ours are made. Names outlive every process: they are said here and nowhere else."""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

log = logging.getLogger(__name__)

CLICKSTREAM, ORDERS, DELIVERIES, TICKETS = "clickstream", "orders", "deliveries", "tickets"

MESSAGE_BYTES = 900_000
"""Messages of ours are cut below this: every broker takes 1 MiB by default."""

LARGEST_MESSAGE_BYTES = 2_500_000
"""What cannot be cut, one dead letter with its bytes, may be as large as this."""

ANSWER_TIMEOUT_S = 30.0


def rows(prefix: str) -> str:
    """Name the topic of Arrow batches of table rows, which the sink reads."""
    return f"{prefix}.rows"


def passed(prefix: str, to: str) -> str:
    """Name an internal topic of rows between two stages; `to` says by which key they lie (pipeline.passed)."""
    return f"{prefix}.{to}"


def published(prefix: str, table: str) -> str:
    """Name the topic of a table's rows as Avro records, for others to subscribe to."""
    return f"{prefix}.{table}"


def dead_letters(prefix: str) -> str:
    """Name the topic of records that could not be used, for others to subscribe to."""
    return f"{prefix}.dead_letters"


def chunks(prefix: str, stage: str) -> str:
    """Name the compacted topic of a stage's state."""
    return f"{prefix}.{stage}.chunks"


def manifests(prefix: str, stage: str) -> str:
    """Name the compacted topic of a stage's claims and positions."""
    return f"{prefix}.{stage}.manifests"


def state(prefix: str, stage: str) -> tuple[str, str]:
    """Name both topics of a stage's checkpoints: chunks and manifests."""
    return chunks(prefix, stage), manifests(prefix, stage)


class TopicsUnfit(RuntimeError):
    """A topic is there, and not as it must be; the message says which and why."""


@dataclass(frozen=True)
class Topic:
    """A topic that must exist."""

    name: str
    partitions: int
    """At least so many; so many if it is made."""
    config: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_events(cls, name: str, partitions: int) -> Self:
        """Describe a topic of input, kept as long as the broker's default says."""
        return cls(name, partitions)

    @classmethod
    def of_rows(cls, prefix: str, partitions: int) -> Self:
        """Describe the topic between the folds and the sink. While ClickHouse is down, facts wait here: for a week."""
        kept = {"retention.ms": str(7 * 24 * 3_600_000), "max.message.bytes": str(LARGEST_MESSAGE_BYTES)}
        return cls(rows(prefix), partitions, {"cleanup.policy": "delete", **kept})

    @classmethod
    def of_passed(cls, name: str, partitions: int) -> Self:
        """Describe an internal topic between two stages. Rows wait here while the stage behind it is away: for a week."""
        return cls(name, partitions, {"cleanup.policy": "delete", "retention.ms": str(7 * 24 * 3_600_000)})

    @classmethod
    def of_dead_letters(cls, prefix: str, partitions: int) -> Self:
        """Describe the topic of dead letters. They are in ClickHouse as well: here they are for a month."""
        kept = {"retention.ms": str(30 * 24 * 3_600_000), "max.message.bytes": str(LARGEST_MESSAGE_BYTES)}
        return cls(dead_letters(prefix), partitions, {"cleanup.policy": "delete", **kept})

    @classmethod
    def of_published(cls, name: str, partitions: int, *, is_compacted: bool) -> Self:
        """Describe a topic that others subscribe to: a week of records, or the newest of every key for a quarter of a year."""
        kept = {"cleanup.policy": "delete", "retention.ms": str(7 * 24 * 3_600_000)}
        if is_compacted:
            kept = {
                "cleanup.policy": "compact,delete",
                "retention.ms": str(90 * 24 * 3_600_000),
                "segment.ms": "3600000",  # the active segment is never compacted
                "min.cleanable.dirty.ratio": "0.1",
            }
        return cls(name, partitions, kept)

    @classmethod
    def of_state(cls, prefix: str, stage: str, partitions: int) -> tuple[Self, Self]:
        """Describe the two topics of a stage's checkpoints: a partition for each of its input."""
        config = {
            "cleanup.policy": "compact",
            "max.message.bytes": "1200000",
            # The active segment is never compacted: it must end soon, or what was dropped stays.
            "segment.ms": "600000",
            "segment.bytes": str(64 << 20),
            "min.cleanable.dirty.ratio": "0.1",
            "delete.retention.ms": "600000",
        }
        return cls(chunks(prefix, stage), partitions, config), cls(manifests(prefix, stage), partitions, config)


@dataclass(frozen=True)
class Cluster:
    """What a broker says of itself and of topics."""

    cluster_id: str
    partitions: Mapping[str, int]
    """Topic -> how many partitions it has, for every topic there is."""


def look_at(admin: AdminClient, timeout_s: float = ANSWER_TIMEOUT_S) -> Cluster:
    """Ask the broker. All topics at once: asking for one by name makes some brokers create it."""
    said = admin.list_topics(timeout=timeout_s)
    there = {name: len(topic.partitions) for name, topic in said.topics.items() if topic.error is None}
    return Cluster(said.cluster_id or "", there)


def make_topics(admin: AdminClient, wanted: Iterable[Topic], *, replication: int = 1) -> Cluster:
    """Make the topics that are missing, and say what is there now.

    Cases:  there already, with enough partitions -> left as it is | made by somebody else meanwhile -> the same
    Raises: TopicsUnfit - too few partitions, or a topic of state that the broker would cut; KafkaException - refused
    """
    topics = list(wanted)
    before = look_at(admin)
    missing = [topic for topic in topics if topic.name not in before.partitions]
    durable = {"min.insync.replicas": "2"} if replication > 2 else {}
    new = [NewTopic(topic.name, topic.partitions, replication, config={**durable, **topic.config}) for topic in missing]
    asked = admin.create_topics(new, operation_timeout=ANSWER_TIMEOUT_S) if new else {}
    for name, made in asked.items():
        try:
            made.result(ANSWER_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                message = f"topic {name} could not be made: {error.args[0].str()}"
                raise KafkaException(error.args[0], message) from error
    after = _when_all_are_there(admin, topics)
    problems = [
        f"{topic.name} has {found} partitions and must have at least {topic.partitions}"
        for topic in topics
        if (found := after.partitions[topic.name]) < topic.partitions
    ]
    old_state = [topic.name for topic in topics if topic not in missing and topic.config.get("cleanup.policy") == "compact"]
    problems += [f"{name} must have cleanup.policy=compact, or the broker cuts our state" for name in _cut(admin, old_state)]
    if problems:
        raise TopicsUnfit("; ".join(problems))
    return after


def _when_all_are_there(admin: AdminClient, topics: list[Topic]) -> Cluster:
    """Wait until the broker's metadata know them: it answers that a topic was made before it tells of it."""
    until = time.monotonic() + ANSWER_TIMEOUT_S
    while True:
        seen = look_at(admin)
        unseen = [topic.name for topic in topics if not seen.partitions.get(topic.name)]
        if not unseen:
            return seen
        if time.monotonic() >= until:
            message = f"the broker does not tell of {', '.join(unseen)} {ANSWER_TIMEOUT_S:.0f} s after they were made"
            raise TopicsUnfit(message)
        time.sleep(0.1)


def _cut(admin: AdminClient, names: list[str]) -> list[str]:
    """Return those of the topics that are not compacted, as far as the broker tells."""
    found = []
    asked: dict[ConfigResource, Any] = (
        admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names]) if names else {}
    )
    for resource, answer in asked.items():
        try:
            policy = answer.result(ANSWER_TIMEOUT_S).get("cleanup.policy")
        except KafkaException as error:
            log.warning("cannot see whether topic %s is compacted: %s", resource.name, error)
            continue
        if policy is not None and policy.value != "compact":
            found.append(resource.name)
    return found
