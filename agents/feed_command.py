"""The command `ebbtide feed`: simulated shops to Kafka or into a folder."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from confluent_kafka.admin import AdminClient

from agents.feed import Fed, to_folder, to_kafka
from agents.registry import open_registry
from agents.settings import KafkaSettings
from agents.topics import Topic, look_at, make_topics
from pipeline.simulator.simulator import Simulator

STARTS_AT = datetime(2026, 1, 5, tzinfo=UTC)
"""Simulated time at which events for files begin: the same seed gives the same files."""


def into_folder(folder: Path, seed: int, starts_at: datetime | None, events: int) -> Fed:
    """Write so many events, and the truth beside them."""
    return to_folder(Simulator(seed, starts_at or STARTS_AT), folder, n_events=events, progress=True)


def to_broker(kafka: KafkaSettings, seed: int, starts_at: datetime | None, events: int | None, speed: float | None) -> Fed:
    """Send events, for ever if nobody says how many, and then no faster than time goes on. The topic is made if it is missing.

    Raises: agents.mishaps.MISHAPS
    """
    pace = speed if speed is not None or events is not None else 1.0
    simulator = Simulator(seed, starts_at or _began(seed, events, pace))
    admin = AdminClient({**kafka.librdkafka, "bootstrap.servers": kafka.bootstrap})
    partitions = 1 if kafka.clickstream_topic in look_at(admin).partitions else kafka.partitions
    make_topics(admin, [Topic.of_events(kafka.clickstream_topic, partitions)], replication=kafka.replication)
    schema_id = open_registry(kafka.schema_registry_url, clickstream_topic=kafka.clickstream_topic).schema_id("clickstream")
    return to_kafka(
        simulator,
        kafka.bootstrap,
        kafka.clickstream_topic,
        schema_id,
        n_events=events,
        speed=pace,
        librdkafka=kafka.librdkafka,
        progress=True,
    )


def _began(seed: int, events: int | None, speed: float | None) -> datetime:
    """Now, or so long ago that the last event is about now: brokers refuse what comes from the future."""
    now = datetime.now(UTC)
    if events is None or speed is not None:
        return now
    return now - timedelta(days=1.2 * events / Simulator(seed, now).events_per_day, hours=1)
