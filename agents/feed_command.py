"""The command `ebbtide feed`: simulated shops to Kafka or into a folder."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from confluent_kafka.admin import AdminClient

from agents.feed import Fed, Outlet, to_folder, to_kafka
from agents.registry import open_registry
from agents.settings import KafkaSettings
from agents.topics import Topic, look_at, make_topics
from pipeline.simulator.scenarios import CALM, SCENARIOS, Scenario
from pipeline.simulator.simulator import Simulator

log = logging.getLogger(__name__)

STARTS_AT = datetime(2026, 1, 5, tzinfo=UTC)
"""Simulated time at which events for files begin: the same seed gives the same files."""


def scenario_of(name: str) -> Scenario:
    """The scenario of this name. Raises: ValueError if there is none."""
    if name not in SCENARIOS:
        message = f"there is no scenario {name}; there are {', '.join(SCENARIOS)}"
        raise ValueError(message)
    return SCENARIOS[name]


def into_folder(
    folder: Path,
    seed: int,
    starts_at: datetime | None,
    events: int,
    *,
    scenario: Scenario = CALM,
    visitors_per_day: float | None = None,
    truth: Path | None = None,
) -> Fed:
    """Write so many events, all that follows from them, and the truth beside them."""
    simulator = Simulator(seed, starts_at or STARTS_AT, visitors_per_day=visitors_per_day, scenario=scenario)
    return to_folder(simulator, folder, n_events=events, truth=truth, progress=True)


def to_broker(
    kafka: KafkaSettings,
    seed: int,
    starts_at: datetime | None,
    events: int | None,
    speed: float | None,
    *,
    scenario: Scenario = CALM,
    visitors_per_day: float | None = None,
    truth: Path | None = None,
) -> Fed:
    """Send events, for ever if nobody says how many, and then no faster than time goes on. Topics are made if they are missing.

    Raises: agents.mishaps.MISHAPS
    """
    pace = speed if speed is not None or events is not None else 1.0
    now = datetime.now(UTC)
    simulator = Simulator(seed, starts_at or now, visitors_per_day=visitors_per_day, scenario=scenario)
    if (
        starts_at is None and events is not None and pace is None
    ):  # the last event is about now: brokers refuse what comes from the future
        began = now - timedelta(days=1.2 * events / simulator.events_per_day, hours=1)
        simulator = replace(simulator, start_at=began)
    admin = AdminClient({**kafka.librdkafka, "bootstrap.servers": kafka.bootstrap}, logger=log)
    there = look_at(admin).partitions
    wanted = [Topic.of_events(topic, 1 if topic in there else kafka.partitions) for topic in kafka.topics.values()]
    make_topics(admin, wanted, replication=kafka.replication)
    registry = open_registry(kafka.schema_registry_url, topics=kafka.topics)
    outlets = {family: Outlet(topic, registry.schema_id(family)) for family, topic in kafka.topics.items()}
    clicks = outlets.pop("clickstream")
    return to_kafka(
        simulator,
        kafka.bootstrap,
        clicks.topic,
        clicks.schema_id,
        others=outlets,
        n_events=events,
        speed=pace,
        truth=truth,
        librdkafka=kafka.librdkafka,
        progress=True,
    )
