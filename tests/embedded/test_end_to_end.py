"""Simulated shop -> Kafka -> worker -> ClickHouse: what stands there in the end is what the oracle says of the same events."""

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta

import fastavro
import polars as pl
import pytest
from confluent_kafka import Producer
from polars.testing import assert_frame_equal

from agents.alert_settings import AlertSettings, ChannelSettings
from agents.feed import to_kafka
from agents.partitioner import partition_of
from agents.settings import (
    ClickHouseSettings,
    FulfilmentSettings,
    KafkaSettings,
    PublishSettings,
    Settings,
    StoreSettings,
    WorkerSettings,
)
from agents.worker import assemble
from pipeline.encode import encode
from pipeline.events import event_schema
from pipeline.frames import FATE_NAMES, TABLES
from pipeline.simulator.simulator import Simulator
from schemas.contracts import local_registry, schema
from tests import oracle
from tests.builders import frame, view
from tests.views import counted, differences

pytestmark = pytest.mark.broker
pytest_plugins = ("tests.receiver",)

PARTITIONS = 4
N_EVENTS = 4_000
AGO = timedelta(days=6)
LATER = timedelta(days=3)
"""After the shop: one more event in each partition shows that time has gone on, and every session has ended."""


@pytest.fixture
def settings(broker, store, receiver):
    return Settings(
        kafka=KafkaSettings(
            bootstrap=broker.bootstrap,
            prefix=broker.prefix,
            partitions=PARTITIONS,
            clickstream_topic=f"{broker.prefix}.clickstream",
        ),
        clickhouse=ClickHouseSettings(dsn=store.dsn, database=store.database, batch_age_s=0.2),
        fulfilment=FulfilmentSettings(enabled=False),
        store=StoreSettings(events=True),
        publish=PublishSettings(tables=("signals", "outcomes", "alerts")),
        alerts=AlertSettings(channels=(ChannelSettings(name="hook", kind="webhook", url=receiver.url, allow_private=True),)),
        worker=WorkerSettings(checkpoint_s=0.5, max_batch_events=500),
    )


def simulator():
    return Simulator(11, datetime.now(UTC).replace(microsecond=0) - AGO, visitors_per_day=600)


def last_ones(at):
    """One event for each partition."""
    visitors = {partition_of(name.encode(), PARTITIONS): name for name in (f"last-{number}" for number in range(100))}
    return [view(at=at, site="atlantic", visitor_id=visitors[partition], record_at=at) for partition in range(PARTITIONS)]


def the_log(shop):
    """The records as they lie on the topic: each partition in the order in which it was sent."""
    ends = dict.fromkeys(range(PARTITIONS), 0)
    for events in shop.slices(timedelta(hours=6), n_events=N_EVENTS):
        for row in events.to_dicts():
            partition = partition_of(row["visitor_id"].encode(), PARTITIONS)
            said = {name: value for name, value in row.items() if value is not None}
            yield {**said, "partition": partition, "offset": ends[partition]}
            ends[partition] += 1
    for partition, event in enumerate(last_ones(shop.start_at + LATER)):
        yield {**event, "partition": partition, "offset": ends[partition]}


async def run(settings, shop):
    """Feed and fold, until all is written. Returns the fates of all records."""
    kafka = settings.kafka
    assembled = assemble(settings)
    assembled.writer.start()
    (schema_id,) = (schema_id for schema_id, (family, _) in local_registry().items() if family == "clickstream")
    async with assembled.worker.running():
        await asyncio.to_thread(to_kafka, shop, kafka.bootstrap, kafka.clickstream_topic, schema_id, n_events=N_EVENTS)
        send_last_ones(kafka, schema_id, shop.start_at + LATER)
        async with asyncio.timeout(120):
            while assembled.worker.folds["sessions"].progress.events < N_EVENTS + PARTITIONS:  # noqa: ASYNC110 - of another thread
                await asyncio.sleep(0.2)
        assert await assembled.worker.settled(60)
        fates = assembled.worker.folds["sessions"].fates
    assert await asyncio.to_thread(assembled.writer.close, 20)
    return fates


def send_last_ones(kafka, schema_id, at):
    events = last_ones(at)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for partition, value in enumerate(encode(frame(events).select(event_schema("clickstream").names()), "clickstream", schema_id)):
        producer.produce(
            kafka.clickstream_topic,
            value,
            events[partition]["visitor_id"].encode(),
            partition,
            timestamp=round(at.timestamp() * 1_000),
        )
    assert producer.flush(20) == 0


def stored(store, name):
    """The newest versions, as the fold said them: the view looks up customers beside that."""
    columns = ", ".join(f"`{column}`" for column in TABLES[name].schema)
    found = store.query(f"SELECT {columns} FROM {name} FINAL WHERE is_deleted = 0")
    return found.select(pl.col(column).cast(dtype) for column, dtype in TABLES[name].schema.items())


def published(broker, table):
    """The newest record of every key, as a reader has it who knows nothing but the contract."""
    contract = fastavro.parse_schema(dict(schema(table)))
    newest = {}
    for message in broker.read(f"{broker.prefix}.{table}"):
        row = fastavro.schemaless_reader(io.BytesIO(message.value()[5:]), contract, None)
        assert json.loads(message.key()) == {name: row[name] for name in TABLES[table].key}
        if row["version"] >= newest.get(message.key(), row)["version"]:
            newest[message.key()] = row
    rows = [{name: row[name] for name in TABLES[table].schema} for row in newest.values() if not row["is_deleted"]]
    return pl.DataFrame(rows, schema=TABLES[table].schema)


def test_clickhouse_shows_what_the_oracle_shows_and_so_do_subscribers(settings, store, broker, receiver):
    shop = simulator()
    log = list(the_log(shop))
    fates = asyncio.run(run(settings, shop))

    expected = oracle.tables(log, settings.session_rules())
    names = [name for name in TABLES if name != "dead_letters"]
    found = differences(counted({name: stored(store, name) for name in names}), expected)
    assert not found, "\n".join(found[:10] + found[-30:])
    assert expected["outcomes"]
    assert sum(of_partition.get(fate, 0) for of_partition in fates.values() for fate in FATE_NAMES) == len(log)
    for name in names:
        assert store.query(f"SELECT count() AS n FROM {name}_now")["n"].item() == stored(store, name).height
    for name in ("signals", "outcomes"):
        assert_frame_equal(published(broker, name), stored(store, name), check_row_order=False)
    assert {got.said["type"] for got in receiver.got} == {"heartbeat"}, "of settings the worker makes a channel that it tells"
