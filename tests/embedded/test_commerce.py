"""Simulated orders and parcels -> Kafka -> intake -> the fold by order -> ClickHouse: what stands there is what the fold says of the same events by hand."""

import asyncio
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from confluent_kafka import Producer

from agents.emitter import Emitter
from agents.settings import ClickHouseSettings, FulfilmentSettings, KafkaSettings, Settings, StoreSettings, WorkerSettings
from agents.worker import assemble
from pipeline.commerce import FAMILIES, together
from pipeline.encode import encode
from pipeline.events import event_schema
from pipeline.frames import FATE_NAMES, TABLES
from pipeline.fulfilment import FulfilmentFold
from pipeline.simulator.scenarios import SCENARIOS
from pipeline.simulator.simulator import simulated
from schemas.contracts import local_registry
from tests.builders import watermarks
from tests.views import now

pytestmark = pytest.mark.broker

PARTITIONS = 2
END = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
ELSEWHERE = "elsewhere"
TOLD_BY_ORDER = ("cases", "deliveries")
"""Tables that nobody else writes."""


@pytest.fixture
def settings(broker, store):
    topics = {f"{name}_topic": f"{broker.prefix}.{name}" for name in ("clickstream", "orders", "deliveries", "tickets")}
    return Settings(
        kafka=KafkaSettings(bootstrap=broker.bootstrap, prefix=broker.prefix, partitions=PARTITIONS, **topics),
        clickhouse=ClickHouseSettings(dsn=store.dsn, database=store.database, batch_age_s=0.2),
        fulfilment=FulfilmentSettings(enabled=True),
        store=StoreSettings(events=True),
        worker=WorkerSettings(checkpoint_s=0.5),
    )


def shop():
    """Family -> its events in order of arrival, as far as they lie in the past: brokers refuse the future."""
    told = simulated(3, 24_000, start_at=END - timedelta(days=35), scenario=SCENARIOS["late_parcels"])
    return {
        family: rows.filter(pl.col("record_at") < END) for family, rows in (("order", told.orders), ("delivery", told.deliveries))
    }


def last_one(family):
    """An event that shows that time has come to the end."""
    said = {"event_id": "end", "event_type": {"order": "order_changed", "delivery": "info_received"}[family], "site": ELSEWHERE}
    ids = {"order_id": "end", **({"delivery_id": "end"} if family == "delivery" else {})}
    return pl.DataFrame([{**said, **ids, "event_at": END}], schema=event_schema(family))


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
    n = sum(each.height + PARTITIONS for each in events.values())
    async with assembled.worker.running():
        for family, of_family in events.items():
            await asyncio.to_thread(send, settings, family, of_family)
        fold = assembled.worker.folds["fulfilment"]
        async with asyncio.timeout(120):
            while sum(sum(of.values()) - of["n_late"] for of in fold.origins.values()) < n:  # noqa: ASYNC110 - of another thread
                await asyncio.sleep(0.2)
        assert await assembled.worker.settled(60)
        origins = fold.origins
    assert await asyncio.to_thread(assembled.writer.close, 20)
    return origins


def by_hand(settings, events):
    """What the views show if the fold is given everything at once, and time."""
    log = together(
        {
            family: rows.with_columns(
                pl.lit(0, pl.Int32).alias("partition"), pl.int_range(pl.len(), dtype=pl.Int64).alias("offset")
            )
            for family, rows in events.items()
        }
    )
    fold = FulfilmentFold(settings.fulfilment_rules())
    first = fold.step(fold.empty(), log, watermarks({0: None}))
    reached = watermarks({0: END - timedelta(seconds=settings.fulfilment.allowed_lateness_s)})
    return now([first, fold.step(first.state, log.clear(), reached)])


def test_clickhouse_shows_what_the_fold_says_by_hand(settings, store):
    events = shop()
    origins = asyncio.run(run(settings, events))

    wanted = by_hand(settings, events)
    for table in TOLD_BY_ORDER:
        columns = ", ".join(f"`{name}`" for name in TABLES[table].schema)
        found = store.query(f"SELECT {columns} FROM {table} FINAL WHERE is_deleted = 0 AND site != '{ELSEWHERE}'")
        key = list(TABLES[table].key)
        assert wanted[table].height > 20
        found = found.select(pl.col(name).cast(dtype) for name, dtype in TABLES[table].schema.items()).sort(key)
        right = wanted[table].select(TABLES[table].schema.names()).sort(key)
        assert found.drop("is_deleted").equals(right.drop("is_deleted"))
    lapses = store.query(f"SELECT expectation, outcome_id, status FROM outcomes_now WHERE site != '{ELSEWHERE}' ORDER BY ALL")
    right = wanted["outcomes"].select("expectation", "outcome_id", "status").sort(pl.all())
    assert right.height > 5
    assert lapses.rows() == right.rows()
    for family in FAMILIES:
        topic = settings.kafka.topics[family]
        counted = sum(fates.get(fate, 0) for (of, _), fates in origins.items() if of == topic for fate in FATE_NAMES)
        assert counted == events[family].height + PARTITIONS
