"""The worker and a real Schema Registry: two versions in one partition, ids nobody knows, and a registry that is away."""

import asyncio
import json
import time
from datetime import UTC, datetime

import pytest
from confluent_kafka.schema_registry import Schema as RegisteredSchema
from confluent_kafka.schema_registry import SchemaRegistryClient

from agents.settings import ClickHouseSettings, KafkaSettings, Settings, StoreSettings, WorkerSettings
from agents.worker import assemble
from schemas.contracts import schema
from tests.brokers import EMBEDDED
from tests.running_clicks import until
from tests.wire import datum, framed

pytestmark = [
    pytest.mark.broker,
    pytest.mark.registry,
    pytest.mark.xdist_group("apicurio"),
    pytest.mark.parametrize("broker", [EMBEDDED], indirect=True),
]

V1 = schema("clickstream")
V2 = {**V1, "fields": [*V1["fields"], {"name": "mood", "type": ["null", "string"], "default": None}]}
NOBODY_KNOWS = 1_000_000


class Shop:
    """A producer with two versions of the contract, and a worker that reads what it sends."""

    def __init__(self, broker, store, registry):
        self.broker, self.registry = broker, registry
        self.topic = broker.create_topics("clickstream")
        self.sent = 0
        with SchemaRegistryClient({"url": registry.url}) as client:
            subject = f"{self.topic}-value"
            self.ids = [client.register_schema(subject, RegisteredSchema(json.dumps(each), "AVRO")) for each in (V1, V2)]
        self.settings = Settings(
            kafka=KafkaSettings(
                bootstrap=broker.bootstrap,
                prefix=broker.prefix,
                clickstream_topic=self.topic,
                schema_registry_url=registry.url,
            ),
            clickhouse=ClickHouseSettings(dsn=store.dsn, database=store.database, batch_age_s=0.1),
            store=StoreSettings(events=True),
            worker=WorkerSettings(checkpoint_s=0.3, linger_ms=20),
        )

    def send(self, *versions):
        """One event for each: of version 1 or 2, or with an id that nobody knows."""
        values = []
        for version in versions:
            event = {"event_id": f"e{self.sent}", "event_type": "page_view", "event_at": datetime.now(UTC), "site": "shop"}
            contract = V2 if version == 2 else V1
            schema_id = self.ids[version - 1] if version else NOBODY_KNOWS
            values.append(framed(schema_id, datum({**event, "visitor_id": "ann", "mood": "sad"}, contract)))
            self.sent += 1
        self.broker.produce(self.topic, 0, values, keys=[b"ann"] * len(values))

    def run(self, story):
        """Run a worker while the story is told; then until nothing is left to do. Returns fate -> records."""

        async def told():
            assembled = assemble(self.settings)
            assembled.writer.start()
            async with assembled.worker.running() as worker:
                fold = worker.folds["sessions"]
                await story(lambda: fold.progress.events)
                assert await worker.settled(60)
                fates = fold.fates[0]
            assert await asyncio.to_thread(assembled.writer.close, 20)
            return fates

        return asyncio.run(told())


@pytest.fixture
def shop(broker, store, apicurio):
    return Shop(broker, store, apicurio)


def test_two_versions_flow_beside_each_other_in_one_partition_and_an_unknown_id_is_a_dead_letter(shop, store):
    shop.send(1, 2, 2, 1, 0, 2, 1)

    async def story(read):
        await until(lambda: read() == shop.sent)

    fates = shop.run(story)

    assert (fates["applied"], fates["rejected"]) == (6, 1)
    found = store.query("SELECT event_id FROM events_now ORDER BY event_id")
    assert found["event_id"].to_list() == ["e0", "e1", "e2", "e3", "e5", "e6"]
    letters = store.query("SELECT offset, reason, detail, schema_id FROM dead_letters_now")
    assert letters.rows() == [(4, "unknown_schema", f"no schema with id {NOBODY_KNOWS} for clickstream", NOBODY_KNOWS)]


@pytest.mark.parametrize("away_s", [2.0, pytest.param(60.0, marks=[pytest.mark.chaos, pytest.mark.timeout(600)])])
def test_a_registry_that_is_away_makes_the_worker_wait_and_loses_nothing(shop, store, caplog, away_s):
    registry = shop.registry

    async def stays(read, n):
        """Nothing more is read for as long as the registry is away."""
        ends = time.monotonic() + away_s
        while time.monotonic() < ends:
            await asyncio.sleep(0.2)
            assert read() == n

    async def story(read):
        # At the start: nothing is known, so nothing can be read.
        await until(lambda: "events wait until it does" in caplog.text)
        await stays(read, 0)
        await asyncio.to_thread(registry.start)
        await until(lambda: read() == 3)

        # While it runs: what is written with a known schema goes on, and what is not waits with all behind it.
        await asyncio.to_thread(registry.stop)
        shop.send(1, 1)
        await until(lambda: read() == 5)
        shop.send(2, 1)
        await stays(read, 5)
        await asyncio.to_thread(registry.start)
        await until(lambda: read() == 7)

    shop.send(1, 1, 1)
    registry.stop()
    try:
        fates = shop.run(story)
    except BaseException:
        registry.stop()
        registry.start()  # the next test needs it
        raise

    assert fates == {**fates, "applied": 7}
    assert fates.get("rejected", 0) == 0
    assert f"Schema Registry {registry.url} did not fetch schema {shop.ids[0]}" in caplog.text
    assert store.query("SELECT count() AS n FROM events_now")["n"].item() == 7
    assert store.query("SELECT count() AS n FROM dead_letters_now")["n"].item() == 0
