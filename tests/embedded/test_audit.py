"""The books of a real topic: read = applied + duplicate + rejected + too late, in records, with gaps explained."""

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from confluent_kafka import Producer

from agents.app import Connection, build_app
from agents.audit import audit
from agents.books import Books
from agents.kafka_checkpoints import manifest_key
from agents.manifests import Manifest, Standing
from agents.settings import FulfilmentSettings, KafkaSettings, Settings
from tests.counting import counting_stage
from tests.running_clicks import PARTITIONS, QUICK, Clicks, MemoryWriter

pytestmark = pytest.mark.broker


def settings_of(broker, clicks):
    kafka = KafkaSettings(bootstrap=broker.bootstrap, prefix=broker.prefix, clickstream_topic=clicks.topic)
    return Settings(kafka=kafka, fulfilment=FulfilmentSettings(enabled=False))


def work_through(broker, clicks):
    """Fold all there is, and keep it, as the stage that the audit looks at."""
    stage = replace(counting_stage(clicks.topic), name="sessions")

    async def story():
        worker = build_app(Connection(broker.bootstrap, broker.prefix), QUICK, [stage], MemoryWriter())
        async with worker.running():
            assert await worker.settled(60)

    asyncio.run(story())


def command(broker, clicks, *options):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EBBTIDE_")}
    own = {
        "EBBTIDE_KAFKA__BOOTSTRAP": broker.bootstrap,
        "EBBTIDE_KAFKA__PREFIX": broker.prefix,
        "EBBTIDE_KAFKA__CLICKSTREAM_TOPIC": clicks.topic,
        "EBBTIDE_FULFILMENT__ENABLED": "false",
    }
    run = [sys.executable, "-m", "agents", "audit", *options]
    return subprocess.run(run, env={**kept, **own, "COLUMNS": "200"}, capture_output=True, text=True, timeout=60, check=False)


def test_the_books_of_a_worker_balance_and_a_wrong_entry_shows(broker):
    clicks = Clicks(broker)
    clicks.make(2_000)
    broker.produce(clicks.topic, 1, [b"no event at all"])
    work_through(broker, clicks)
    clicks.make(40)  # not read yet

    accounts = audit(settings_of(broker, clicks), recount=True)

    assert [account.read for account in accounts] == [account.recounted for account in accounts] == [500, 501, 500, 500]
    assert accounts[1].fates["rejected"] == 1
    assert [account.unaccounted for account in accounts] == [0] * PARTITIONS
    assert [account.end - account.position - 1 for account in accounts] == [10] * PARTITIONS
    shown = command(broker, clicks)
    assert shown.returncode == 0, shown.stderr
    assert "the books balance" in shown.stdout

    plant(broker, accounts[2])
    done = command(broker, clicks, "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    assert not said["ok"]
    assert [account["wrong"] for account in said["accounts"]] == [[], [], ["3 records were read and are in no account"], []]


def plant(broker, account):
    """A checkpoint that forgot three records."""
    fates = {**account.fates, "applied": account.fates["applied"] - 3}
    manifest = Manifest(
        1 << 40, 0, broker.admin.list_topics(timeout=20).cluster_id, Standing(account.position, fates=fates, books=account.books)
    )
    broker.produce(f"{broker.prefix}.sessions.manifests", account.partition, [manifest.to_json()], keys=[manifest_key(manifest)])


def test_ends_of_transactions_and_aborted_records_are_explained(kafka_broker):
    """Also where they stand last: the partition is caught up, and its silence is noticed."""
    broker = kafka_broker
    clicks = Clicks(broker)
    clicks.make(400)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": broker.prefix})
    producer.init_transactions(20)

    def transaction(end, log_end):
        producer.begin_transaction()
        for _ in range(5):
            producer.produce(clicks.topic, b"v0|1|1700000000000", partition=0)
        producer.flush(20)
        end(20)
        until = time.monotonic() + 20
        while broker.end_offsets(clicks.topic)[0] < log_end:  # its end is written a moment later
            assert time.monotonic() < until
            time.sleep(0.05)

    transaction(producer.commit_transaction, 106)
    transaction(producer.abort_transaction, 112)
    clicks.make(40)
    transaction(producer.abort_transaction, 128)
    work_through(broker, clicks)

    accounts = audit(settings_of(broker, clicks), recount=True)

    assert accounts[0].read == accounts[0].recounted == 115
    assert (accounts[0].position, accounts[0].end) == (121, 128)
    assert accounts[0].books == Books(began=0, n_absent=7)  # two ends of transactions, and five records that never were
    assert accounts[0].notes == ("7 offsets held no record: ends of transactions, aborted or compacted records",)
    assert [account.wrong for account in accounts] == [()] * PARTITIONS


def test_a_topic_that_nobody_has_read_is_no_fault(broker):
    clicks = Clicks(broker)

    assert [account.notes for account in audit(settings_of(broker, clicks))] == [("no stage has read it yet",)] * PARTITIONS
