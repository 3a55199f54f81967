"""`ebbtide check`: what is wrong, all at once; and whether keys lie where they must."""

import json
from contextlib import closing
from datetime import UTC, datetime

import pytest
from confluent_kafka.schema_registry import Schema as RegisteredSchema
from confluent_kafka.schema_registry import SchemaRegistryClient

from agents.checking import NOTE, SKIPPED, WELL, WRONG, _registry, checks
from agents.feed import to_kafka
from agents.kafka_checkpoints import CLAIM_KEY, manifest_key
from agents.manifests import Manifest, Standing
from agents.partitioner import partition_of
from agents.settings import KafkaSettings
from pipeline.encode import encode
from pipeline.simulator.simulator import Simulator
from schemas.contracts import schema
from tests.builders import click, frame

NOWHERE = "127.0.0.1:1"
WRONG_KAFKA = "[kafka]\npartitions = 0\n"
"""For tests of something else: nobody waits for a broker that is not there."""


@pytest.fixture
def found(tmp_path, monkeypatch):
    """What is found with these settings: name -> verdict and lines."""

    def check(text):
        path = tmp_path / "settings.toml"
        path.write_text(text)
        return {each.name: (each.verdict, "\n".join(each.lines)) for each in checks(path)}

    for name in ("EBBTIDE_SETTINGS", "EBBTIDE_KAFKA__BOOTSTRAP", "EBBTIDE_CLICKHOUSE__DSN"):
        monkeypatch.delenv(name, raising=False)
    return check


def kafka(broker, topic):
    return f'[kafka]\nbootstrap = "{broker.bootstrap}"\nprefix = "{broker.prefix}"\nclickstream_topic = "{topic}"\n'


def clickhouse(store):
    return f'[clickhouse]\ndsn = "{store.dsn}"\ndatabase = "{store.database}"\n'


def test_everything_that_is_away_is_said_at_once(found):
    said = found(
        f'[kafka]\nbootstrap = "{NOWHERE}"\nschema_registry_url = "http://me:hush@{NOWHERE}"\n[clickhouse]\ndsn = "clickhouse://{NOWHERE}"'
    )

    assert {name: verdict for name, (verdict, _) in said.items()} == {
        "settings": WELL,
        "broker": WRONG,
        "registry": WRONG,
        "clickhouse": WRONG,
        "keys": SKIPPED,
        "channels": WELL,
    }
    assert f"no answer from {NOWHERE}" in said["broker"][1]
    assert "ClickHouse does not answer (Connection refused)" in said["clickhouse"][1]
    assert NOWHERE in said["registry"][1]
    assert "hush" not in said["registry"][1]


def test_a_channel_whose_secret_is_not_there_is_named(found):
    hook = '[[alerts.channels]]\nname = "hook"\nkind = "webhook"\nurl = "https://a.example/x"\n'

    assert found(WRONG_KAFKA + hook)["channels"][0] == WELL
    assert found(f'{WRONG_KAFKA}{hook}secret_file = "/nowhere"\n')["channels"] == (
        WRONG,
        "channel hook: /nowhere cannot be read: No such file or directory",
    )


def test_what_is_set_right_is_looked_at_although_something_else_is_not(found, store):
    said = found(f"{WRONG_KAFKA}{clickhouse(store)}")

    assert said["settings"] == (WRONG, "kafka.partitions: Input should be greater than or equal to 1, not 0")
    assert said["broker"] == (SKIPPED, "[kafka] is wrong: that first")
    assert said["clickhouse"][0] == WELL


def test_tables_that_are_not_those_of_this_version_are_named(found, store):
    store.command("ALTER TABLE sessions DROP COLUMN n_signals")
    store.command("ALTER TABLE sessions MODIFY COLUMN n_events UInt64")
    store.command("ALTER TABLE sessions ADD COLUMN ours String")

    verdict, lines = found(f"{WRONG_KAFKA}{clickhouse(store)}")["clickhouse"]

    assert verdict == WRONG
    assert lines.splitlines() == [
        "sessions.n_events is UInt64, and must be UInt32",
        "sessions.n_signals is not there, and must be UInt32",
    ]


def test_an_embedded_store_that_is_not_there_is_said_and_not_made(found, tmp_path):
    verdict, said = found(f'{WRONG_KAFKA}[clickhouse]\ndsn = "chdb://{tmp_path / "store"}"')["clickhouse"]

    assert verdict == WRONG
    assert "there is no embedded store in" in said
    assert not (tmp_path / "store").exists()


def test_a_database_without_tables_says_what_to_do(found, store):
    said = found(f'{WRONG_KAFKA}[clickhouse]\ndsn = "{store.dsn}"\ndatabase = "other"')

    assert said["clickhouse"][0] == WRONG
    assert "lacks 0001_sessions" in said["clickhouse"][1]
    assert "`ebbtide migrate`" in said["clickhouse"][1]


def test_keys_where_they_belong_are_well(found, broker, store):
    topic = broker.create_topics("clicks", 3)
    to_kafka(Simulator(4, datetime(2026, 3, 1, tzinfo=UTC)), broker.bootstrap, topic, 1, n_events=300)

    said = found(kafka(broker, topic) + clickhouse(store))

    assert {name: verdict for name, (verdict, _) in said.items()} == dict.fromkeys(said, WELL)
    assert "topic" in said["broker"][1]
    assert "has 3 partitions" in said["broker"][1]


def test_the_topics_of_the_other_families_are_told_and_need_not_be_there(found, broker):
    clicks, orders = broker.create_topics("clicks", 1), broker.create_topics("orders", 3)
    names = {"orders": orders, "deliveries": f"{broker.prefix}.d", "tickets": f"{broker.prefix}.t"}
    settings = "".join(f'{name}_topic = "{topic}"\n' for name, topic in names.items())

    verdict, lines = found(kafka(broker, clicks) + settings)["broker"]

    assert verdict == WELL
    assert f"topic {orders} has 3 partitions" in lines
    assert f"there is no topic {names['deliveries']}, {names['tickets']} yet" in lines


def test_keys_that_lie_elsewhere_are_not_the_visitor_or_missing_are_wrong(found, broker):
    topic = broker.create_topics("clicks", 2)
    visitor = b"v-1"
    (value,) = encode(frame([click(at="10:00", visitor_id=visitor.decode())]), "clickstream", 1)
    here = partition_of(visitor, 2)
    other = next(key for key in (b"a", b"b", b"c", b"d") if partition_of(key, 2) == here)
    broker.produce(topic, here, [value] * 3, keys=[visitor, other, None])
    broker.produce(topic, 1 - here, [value], keys=[visitor])

    verdict, lines = found(kafka(broker, topic))["keys"]

    assert verdict == WRONG
    assert f"1 of 4 keys of {topic} lie in another partition than murmur2 says (v-1 in {1 - here})" in lines
    assert f"1 of 4 keys of {topic} are not the visitor_id of their event ({other.decode()} for v-1)" in lines
    assert f"1 of 4 records of {topic} have no key" in lines


def test_a_topic_that_is_not_there_yet_is_no_fault(found, broker):
    said = found(kafka(broker, f"{broker.prefix}.none"))

    assert said["broker"][0] == NOTE
    assert said["keys"][0] == SKIPPED


def test_a_topic_that_has_other_partitions_than_when_the_state_was_kept_is_wrong(found, broker):
    """The worker would refuse: its state is of keys that may lie elsewhere now."""
    topic = broker.create_topics("clicks", 2)
    rows, chunks, manifests = (broker.create_topics(name, 2) for name in ("rows", "sessions.chunks", "sessions.manifests"))
    had = {topic: 2, rows: 4, chunks: 2}
    manifest = Manifest(1, 0, "cluster", Standing(7), had)
    broker.produce(manifests, 1, [b"{}", manifest.to_json(), b"{}"], keys=[CLAIM_KEY, manifest_key(manifest), CLAIM_KEY])

    verdict, lines = found(kafka(broker, topic))["broker"]

    assert verdict == WRONG
    assert f"topic {rows} has 2 partitions, and had 4 when the state was kept" in lines
    assert "fixed for life" in lines
    assert chunks not in lines


@pytest.mark.broker
@pytest.mark.registry
@pytest.mark.xdist_group("apicurio")
def test_a_registry_tells_whether_the_schema_under_the_topics_name_can_be_read(apicurio):
    url = apicurio.url
    nested = {"type": "record", "name": "x", "fields": [{"name": "event_id", "type": {"type": "array", "items": "string"}}]}
    with closing(SchemaRegistryClient({"url": url})) as client:
        subjects = (
            ("checked-good-value", schema("clickstream")),
            ("checked-nested-value", nested),
            ("checked-order-value", schema("order")),
        )
        for subject, contract in subjects:
            client.register_schema(subject, RegisteredSchema(json.dumps(contract), "AVRO"))

    def verdict(topic, orders="checked-no-orders"):
        check = _registry(KafkaSettings(clickstream_topic=topic, orders_topic=orders, schema_registry_url=url))
        return check.verdict, "\n".join(check.lines)

    assert verdict("checked-good")[0] == WELL
    assert verdict("checked-none") == (NOTE, f"{url} answers, and has no subject checked-none-value yet")
    assert verdict("checked-good", "checked-order")[1].count("is at version 1") == 2
    assert verdict("checked-good", "checked-nested")[0] == WRONG
    assert verdict("checked-nested")[0] == WRONG
    assert "version 1 of subject checked-nested-value cannot be read" in verdict("checked-nested")[1]
