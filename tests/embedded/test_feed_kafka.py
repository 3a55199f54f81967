"""What the simulator says, on a broker: every event once, under its visitor's key, with its own time."""

import io
import threading
import time
from datetime import UTC, datetime, timedelta

import fastavro
import polars as pl
import pytest

from agents.emitter import KEYS, Emitter
from agents.feed import FRAMES, TRUTHS, Outlet, to_kafka
from agents.partitioner import partition_of
from agents.producer import NotDelivered
from pipeline.simulator.simulator import Simulator
from schemas.contracts import schema
from tests.brokers import BrokerInTest, Embedded

SIMULATOR = Simulator(5, datetime(2026, 11, 16, tzinfo=UTC), visitors_per_day=2_000)
FOR_DAYS = Simulator(5, datetime(2026, 11, 16, tzinfo=UTC), visitors_per_day=60)
"""So few come that parcels arrive within some thousands of events."""
N_PARTITIONS = 4
SCHEMA_ID = 7


@pytest.fixture
def topic(broker) -> str:
    return broker.create_topics("clickstream", N_PARTITIONS, retention_ms="-1")


def simulated(n_events) -> pl.DataFrame:
    return pl.concat(list(SIMULATOR.slices(timedelta(days=1), n_events=n_events)))


def said(record, family="clickstream") -> dict:
    value = record.value()
    assert value[:5] == b"\x00" + SCHEMA_ID.to_bytes(4, "big")
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), schema(family), None)


def test_the_topic_holds_every_event_with_its_key_time_and_content(broker, topic):
    fed = to_kafka(SIMULATOR, broker.bootstrap, topic, SCHEMA_ID, n_events=3_000)
    found = broker.read(topic)

    # Within a partition records are in the order in which they were simulated.
    events = simulated(3_000).iter_rows(named=True)
    expected = sorted(events, key=lambda event: partition_of(event["visitor_id"].encode(), N_PARTITIONS))
    assert fed.n == len(found) == 3_000
    for record, event in zip(found, expected, strict=True):
        assert record.key() == event["visitor_id"].encode()
        assert record.partition() == partition_of(record.key(), N_PARTITIONS)
        assert record.timestamp()[1] == event.pop("record_at").timestamp() * 1000
        assert said(record) == event


def test_every_family_lies_on_its_topic_under_its_key(broker, topic, tmp_path):
    others = {
        family: Outlet(broker.create_topics(family, N_PARTITIONS, retention_ms="-1"), SCHEMA_ID)
        for family in ("order", "delivery", "ticket")
    }
    fed = to_kafka(FOR_DAYS, broker.bootstrap, topic, SCHEMA_ID, others=others, n_events=12_000, truth=tmp_path / "truth.ndjson")

    whole = list(FOR_DAYS.chapters(timedelta(days=1), n_events=12_000))
    for family, outlet in others.items():
        found = broker.read(outlet.topic)
        events = pl.concat([getattr(chapter, FRAMES[family]) for chapter in whole])
        values = [said(record, family) for record in found]
        assert len(found) == fed.others[family] == events.height > 20
        assert sorted(value["event_id"] for value in values) == events["event_id"].sort().to_list()
        keys = [next(value[name] for name in KEYS[family] if value[name] is not None) for value in values]
        assert [record.key().decode() for record in found] == keys
        assert all(record.partition() == partition_of(record.key(), N_PARTITIONS) for record in found)
    told = sum(getattr(chapter, frame).height for chapter in whole for frame in TRUTHS.values())
    assert len((tmp_path / "truth.ndjson").read_text().splitlines()) == told


def test_a_paced_feed_takes_its_time_and_says_the_same(broker, topic):
    fed = to_kafka(SIMULATOR, broker.bootstrap, topic, SCHEMA_ID, n_events=1_000, speed=3_600)
    ids = [said(record)["event_id"] for record in broker.read(topic)]
    events = simulated(1_000)

    took_s = (events["record_at"][-1] - SIMULATOR.start_at).total_seconds() / 3_600
    assert took_s <= fed.seconds < took_s + 5.0
    assert sorted(ids) == sorted(events["event_id"])


def test_what_was_sent_before_a_stop_is_on_the_broker(broker, topic):
    stop = threading.Event()

    def stop_once_there_are_some():
        until = time.monotonic() + 60
        while not broker.read(topic) and time.monotonic() < until:
            time.sleep(0.1)
        stop.set()

    threading.Thread(target=stop_once_there_are_some, daemon=True).start()
    fed = to_kafka(SIMULATOR, broker.bootstrap, topic, SCHEMA_ID, speed=600, stop=stop)

    assert fed.n > 0
    assert len(broker.read(topic)) == fed.n


def test_a_full_queue_loses_nothing(broker, topic):
    fed = to_kafka(SIMULATOR, broker.bootstrap, topic, SCHEMA_ID, n_events=3_000, librdkafka={"queue.buffering.max.messages": 100})

    assert len(broker.read(topic)) == fed.n == 3_000


def test_every_key_lies_where_librdkafka_puts_it(broker, topic):
    """Whatever the key: of every length, with bytes above 127, and longer than any id."""
    keys = [bytes((7 * at + length) % 256 for at in range(length)) for length in range(1, 80)]
    producer = broker.producer({"partitioner": "murmur2_random"})
    for key in keys:
        producer.produce(topic, b"", key)
    assert producer.flush(20) == 0

    found = {record.key(): record.partition() for record in broker.read(topic)}
    assert found == {key: partition_of(key, N_PARTITIONS) for key in keys}


def test_a_topic_that_is_not_there_is_an_error(broker):
    with pytest.raises(NotDelivered, match="no topic nowhere"):
        to_kafka(SIMULATOR, broker.bootstrap, "nowhere", SCHEMA_ID, n_events=10)


@pytest.mark.broker
def test_an_event_that_the_broker_never_takes_is_an_error():
    events = next(SIMULATOR.slices(timedelta(minutes=30)))
    mortal = BrokerInTest("embedded", Embedded())
    emitter = Emitter(mortal.bootstrap, mortal.create_topics("clickstream"), SCHEMA_ID, {"message.timeout.ms": 500})
    mortal.server.stop()
    emitter.send(events)

    with pytest.raises(NotDelivered, match="refused an event"):
        emitter.flush()
