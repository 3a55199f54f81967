"""ClickHouse away, slow, silent, full or refusing: detection goes on, memory has a bound, and in the end the views show what they should."""

import asyncio
import json
import threading
from contextlib import contextmanager

import pytest

from agents.refused_rows import REASON, RefusedRows
from agents.settings import ClickHouseSettings, FulfilmentSettings, KafkaSettings, Settings, StoreSettings, WorkerSettings
from agents.store_claim import ClaimedStore
from pipeline.frames import TABLES
from sinks import clickhouse
from sinks.addresses import address
from sinks.batching import Backoff, Batching
from sinks.clickhouse import ClickHouse
from sinks.http_answers import Engine
from sinks.writer import Writer
from tests import oracle
from tests.brokers import EMBEDDED
from tests.clickhouse_front import INSERT, front_on
from tests.embedded.test_end_to_end import PARTITIONS, run, simulator, stored, the_log
from tests.faulty_link import FaultyLink, Link
from tests.running_clicks import Clicks, counted, until, worker_on
from tests.stores import Store
from tests.views import counted as counted_views
from tests.views import differences

pytestmark = pytest.mark.broker

EMBEDDED_ONLY = pytest.mark.parametrize("broker", [EMBEDDED], indirect=True)
"""What is between the rows topic and ClickHouse does not depend on the broker."""

QUICK = Backoff(first_s=0.05, longest_s=0.5)
BUFFER = 256 << 10


class Faults:
    """What the server answers to an INSERT instead of taking it."""

    def __init__(self):
        self.code, self.told = None, 0

    def __call__(self, asked):
        if self.code is None or not INSERT.match(asked.text):
            return None
        self.told += 1
        return self.code, "so it is"


@contextmanager
def away(store_dsn):
    """A server behind a link that can be broken: (link, faults, DSN)."""
    engine, faults = Engine(address(store_dsn).path), Faults()
    try:
        with front_on(engine, fails=faults) as front, FaultyLink(front.port) as link:
            yield link, faults, f"clickhouse://127.0.0.1:{link.port}"
    finally:
        engine.close()


@contextmanager
def writing(dsn, database):
    defects, desk = [], RefusedRows()
    batching = Batching(rows=20_000, age_s=0.1)
    opened = lambda: ClaimedStore(ClickHouse(dsn, database), "cluster/worker", is_claimed=True)  # noqa: E731 - the writer opens it anew after every error
    desk.writer = writer = Writer(
        opened, refused=desk, defect=defects.append, batching=batching, buffer_bytes=BUFFER, backoff=QUICK
    )
    writer.start()
    yield writer
    assert writer.close(20)
    assert defects == []


def shown(store):
    found = store.query("SELECT visitor_id, n_events, engaged_ms FROM sessions_now")
    return {visitor: (n, total) for visitor, n, total in found.rows()}


def test_whatever_clickhouse_does_detection_goes_on_and_the_views_are_right_in_the_end(broker, store, monkeypatch):
    monkeypatch.setattr(clickhouse, "ANSWER_TIMEOUT_S", 2)
    clicks = Clicks(broker)
    most = 0

    async def story(link, faults, writer):
        nonlocal most

        def breaks(how):
            link.is_now, faults.code = (how, None) if isinstance(how, Link) else (Link.UP, how)

        async with worker_on(broker, clicks, writer).running() as worker:
            for how in (Link.UP, Link.REFUSING, Link.CUTTING, 241, Link.SILENT, 243, Link.SLOW, 252, 999):
                breaks(how)
                for _ in range(2):
                    await asyncio.to_thread(clicks.make, 500)
                    await until(lambda: counted(worker) == clicks.made)  # whatever the store does
                    most = max(most, writer.waiting_bytes)
                if how is Link.CUTTING:
                    await until(lambda: link.cuts > 0)
                if isinstance(how, int):
                    told = faults.told
                    await until(lambda told=told: faults.told > told)
                if how in {Link.REFUSING, Link.SILENT, 243}:
                    assert not worker.sink.is_written
            breaks(Link.UP)
            await until(lambda: worker.sink.is_written)
            assert await worker.settled(60)

    with away(store.dsn) as (link, faults, dsn), writing(dsn, store.database) as writer:
        asyncio.run(story(link, faults, writer))

    assert shown(store) == clicks.expected
    assert store.query("SELECT count() AS n FROM sessions_now").item() == len(clicks.expected)
    assert most < BUFFER + (4 << 20), "the writer holds what it may, and at most one batch of the sink beside that"


@EMBEDDED_ONLY
def test_more_than_the_writer_may_hold_waits_in_kafka(broker, store):
    """Far more rows than the buffer takes, while nobody listens."""
    clicks = Clicks(broker, visitors=4_000)
    held = []

    async def story(link, writer):
        link.is_now = Link.REFUSING
        async with worker_on(broker, clicks, writer).running() as worker:
            for _ in range(6):
                await asyncio.to_thread(clicks.make, 2_000)
                await until(lambda: counted(worker) == clicks.made)
                held.append(writer.waiting_bytes)
            await until(lambda: writer.full)
            link.is_now = Link.UP
            assert await worker.settled(60)

    with away(store.dsn) as (link, _, dsn), writing(dsn, store.database) as writer:
        asyncio.run(story(link, writer))

    assert shown(store) == clicks.expected
    assert max(held) < BUFFER + (4 << 20)


@EMBEDDED_ONLY
def test_a_row_that_is_never_taken_is_a_dead_letter_and_its_neighbours_are_there(broker, store):
    clicks = Clicks(broker)
    clicks.make(3_000)
    store.command("ALTER TABLE sessions ADD CONSTRAINT nobody CHECK visitor_id != 'v77'")

    async def story(writer):
        async with worker_on(broker, clicks, writer).running() as worker:
            await until(lambda: counted(worker) == clicks.made)
            assert await worker.settled(60)

    with away(store.dsn) as (_, _, dsn), writing(dsn, store.database) as writer:
        asyncio.run(story(writer))

    expected = clicks.expected
    refused = expected.pop("v77")
    assert shown(store) == expected
    letters = store.query("SELECT topic, stage, reason, detail, payload FROM dead_letters_now").to_dicts()
    assert {(one["topic"], one["stage"], one["reason"]) for one in letters} == {("sessions", "sinks", REASON)}
    assert all("nobody" in one["detail"] for one in letters)
    assert max(json.loads(one["payload"])["n_events"] for one in letters) == refused[0]


@EMBEDDED_ONLY
def test_a_worker_that_starts_while_clickhouse_is_away_claims_it_when_it_is_there(broker, store, monkeypatch):
    """Its tables are not there either; and in the end they show what the oracle shows."""
    monkeypatch.setattr(clickhouse, "CONNECT_TIMEOUT_S", 1)
    database = f"{store.database}_new"
    with away(store.dsn) as (link, _, dsn):
        link.is_now = Link.REFUSING
        settings = Settings(
            kafka=KafkaSettings(
                bootstrap=broker.bootstrap,
                prefix=broker.prefix,
                partitions=PARTITIONS,
                clickstream_topic=f"{broker.prefix}.clickstream",
            ),
            clickhouse=ClickHouseSettings(dsn=dsn, database=database, batch_age_s=0.2),
            fulfilment=FulfilmentSettings(enabled=False),
            store=StoreSettings(events=True),
            worker=WorkerSettings(checkpoint_s=0.5, max_batch_events=500),
        )
        comes_back = threading.Timer(5.0, lambda: setattr(link, "is_now", Link.UP))
        comes_back.start()
        shop = simulator()
        log = list(the_log(shop))
        asyncio.run(run(settings, shop))
        comes_back.join()

    new = Store(store.dsn, database)
    expected = oracle.tables(log, settings.session_rules())
    names = [name for name in TABLES if name != "dead_letters"]
    found = differences(counted_views({name: stored(new, name) for name in names}), expected)
    assert not found, "\n".join(found[:10])
    (writer,) = new.query(f"SELECT kind, name FROM {database}.writers FINAL").rows()
    assert writer[0] == "worker"
    assert writer[1].endswith(f"/{broker.prefix}")
    store.command(f"DROP DATABASE {database} SYNC")
