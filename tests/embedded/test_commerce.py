"""Simulated clicks, orders, parcels and tickets -> Kafka -> all stages -> ClickHouse: what stands there is what the folds say of the same events by hand."""

import asyncio
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from confluent_kafka import Producer
from polars.testing import assert_frame_equal

from agents.emitter import Emitter
from agents.settings import ClickHouseSettings, FulfilmentSettings, KafkaSettings, Settings, StoreSettings, WorkerSettings
from agents.worker import assemble
from pipeline.commerce import FAMILIES
from pipeline.encode import encode
from pipeline.events import event_schema
from pipeline.frames import FATE_NAMES, TABLES
from pipeline.simulator.scenarios import SCENARIOS
from pipeline.simulator.simulator import simulated
from schemas.contracts import local_registry
from tests.people_by_hand import by_hand

pytestmark = pytest.mark.broker

PARTITIONS = 2
END = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
ELSEWHERE = "elsewhere"
COMPARED = {
    "cases": 20,
    "deliveries": 20,
    "contacts": 20,
    "answers": 5,
    "customers": 50,
    "outcomes": 100,
    "identities": 50,
    "signals": 100,
    "sessions": 500,
}
"""Table -> rows that there are at least."""
LAST = {
    "clickstream": {"event_type": "page_view", "visitor_id": "end"},
    "order": {"event_type": "order_changed", "order_id": "end"},
    "delivery": {"event_type": "info_received", "order_id": "end", "delivery_id": "end"},
    "ticket": {"event_type": "assigned", "ticket_id": "end"},
}
"""Family -> an event that shows that time has come to the end."""


@pytest.fixture
def settings(kafka_broker, store):
    """On Apache Kafka alone: the other broker is the one that the tests of `up` run on."""
    broker = kafka_broker
    topics = {f"{name}_topic": f"{broker.prefix}.{name}" for name in ("clickstream", "orders", "deliveries", "tickets")}
    return Settings(
        kafka=KafkaSettings(bootstrap=broker.bootstrap, prefix=broker.prefix, partitions=PARTITIONS, **topics),
        clickhouse=ClickHouseSettings(dsn=store.dsn, database=store.database, batch_age_s=0.2),
        fulfilment=FulfilmentSettings(enabled=True),
        store=StoreSettings(events=True),
        worker=WorkerSettings(checkpoint_s=0.5, time_speed=0.001),  # time stands where the last event was
    )


def shop():
    """Family -> its events in order of arrival, as far as they lie in the past: brokers refuse the future."""
    told = simulated(3, 24_000, start_at=END - timedelta(days=35), scenario=SCENARIOS["late_parcels"])
    families = {"clickstream": told.events, "order": told.orders, "delivery": told.deliveries, "ticket": told.tickets}
    return {family: rows.filter(pl.col("record_at") < END) for family, rows in families.items()}


def last_one(family):
    return pl.DataFrame([{"event_id": "end", "site": ELSEWHERE, "event_at": END, **LAST[family]}], schema=event_schema(family))


def send(settings, family, events):
    topic = settings.kafka.topics[family]
    (schema_id,) = (schema_id for schema_id, (of, _) in local_registry().items() if of == family)
    emitter = Emitter(settings.kafka.bootstrap, topic, schema_id, {}, family=family)
    emitter.send(events)
    emitter.flush()
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap})
    (value,) = encode(last_one(family), family, schema_id)
    for partition in range(PARTITIONS):
        producer.produce(topic, value, b"end", partition, timestamp=round(END.timestamp() * 1_000))
    assert producer.flush(20) == 0


async def run(settings, events):
    """Send and fold, until all is written. Returns the fates by topic."""
    assembled = assemble(settings)
    assembled.writer.start()
    behind = {"fulfilment": FAMILIES, "journeys": ("ticket",)}
    folds = assembled.worker.folds
    async with assembled.worker.running():
        for family, of_family in events.items():
            await asyncio.to_thread(send, settings, family, of_family)
        async with asyncio.timeout(150):
            for name, families in behind.items():
                n = sum(events[family].height + PARTITIONS for family in families)
                while sum(sum(of.values()) - of["n_late"] for of in folds[name].origins.values()) < n:  # noqa: ASYNC110 - of another thread
                    await asyncio.sleep(0.2)
        assert await assembled.worker.settled(60)
        origins = {**folds["fulfilment"].origins, **folds["journeys"].origins}
    assert await asyncio.to_thread(assembled.writer.close, 20)
    return origins


def test_clickhouse_shows_what_the_folds_say_by_hand(settings, store):
    events = shop()
    origins = asyncio.run(run(settings, events))

    last = {
        family: pl.concat(
            [
                rows,
                last_one(family).with_columns(pl.lit(END).cast(rows.schema["record_at"]).alias("record_at")).select(rows.columns),
            ]
        )
        for family, rows in events.items()
    }
    wanted = by_hand(settings, last)
    for table, at_least in COMPARED.items():
        key, names = list(TABLES[table].key), TABLES[table].schema.names()
        columns = ", ".join(f"`{name}`" for name in names)
        found = store.query(f"SELECT {columns} FROM {table} FINAL WHERE is_deleted = 0 AND site != '{ELSEWHERE}'")
        found = found.select(pl.col(name).cast(dtype) for name, dtype in TABLES[table].schema.items()).sort(key)
        right = wanted[table].filter(pl.col("site") != ELSEWHERE).select(names).sort(key)
        assert right.height > at_least
        assert_frame_equal(found.drop("is_deleted"), right.drop("is_deleted"))
    for family in (*FAMILIES, "ticket"):
        topic = settings.kafka.topics[family]
        counted = sum(fates.get(fate, 0) for (of, _), fates in origins.items() if of == topic for fate in FATE_NAMES)
        assert counted == events[family].height + PARTITIONS
