"""Whether topics still have the partitions they had when state was kept: those numbers are fixed for life."""

from collections.abc import Mapping

from confluent_kafka import Consumer

from agents.kafka_checkpoints import CLAIM_KEY
from agents.key_check import last_records
from agents.manifests import Manifest
from agents.takeover import changed_partitions
from agents.topics import manifests

RECORDS = 50
"""So many of the last records of a partition are looked at: claims and manifests, mostly of one epoch."""


def changed_topics(client: Consumer, prefix: str, there: Mapping[str, int]) -> list[str]:
    """What is to be said of topics that have other partitions now, and why no worker takes its partitions over.

    Raises: TimeoutError, KafkaException; StateUnreadable - what was kept is of another version
    """
    begin, end = manifests(prefix, "*").split("*")
    of_stages = [topic for topic in there if topic.startswith(begin) and topic.endswith(end)]
    kept = [_newest(client, topic, partition) for topic in of_stages for partition in range(there[topic])]
    lines = (line for manifest in kept if manifest for line in changed_partitions(manifest.partitions, there))
    return list(dict.fromkeys(lines))


def _newest(client: Consumer, topic: str, partition: int) -> Manifest | None:
    """The manifest that counts, as far as the last records tell; None: they tell of none."""
    found = []
    for message in last_records(client, topic, partition, RECORDS):
        value = message.value()
        if message.key() != CLAIM_KEY and value is not None:
            found.append(Manifest.from_json(value))
    return max(found, key=lambda manifest: (manifest.epoch, manifest.seq), default=None)
