"""What we ask of a broker; the embedded one and Apache Kafka must both give it."""

import os
import re
import shutil
import subprocess
import time
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from agents.embedded_broker import free_port
from tests import brokers
from tests.brokers import KAFKA_SCRIPT, TIMEOUT_S, why_no_kafka


def taken(members: list[Consumer], is_so: Any) -> None:
    """Let the members poll until something is so."""
    until = time.monotonic() + 40.0
    while not is_so():
        assert time.monotonic() < until, [member.assignment() for member in members]
        for member in members:
            member.poll(0.05)


def partitions_of(member: Consumer, topic: str) -> set[int]:
    return {at.partition for at in member.assignment() if at.topic == topic}


def test_records_come_back_whole_and_in_the_order_they_were_sent(broker):
    topic = broker.create_topics("clicks", 2)
    keys = [b"a", b"", None] * 300
    values = [b"", None, *(b"%d" % n for n in range(898))]
    assert broker.produce(topic, 1, values, keys=keys) == list(range(900))

    records = broker.read(topic)

    assert [record.partition() for record in records] == [1] * 900
    assert [record.offset() for record in records] == list(range(900))
    assert [record.value() for record in records] == values
    assert [record.key() for record in records] == keys


def test_record_times_are_those_of_the_producer(broker):
    """The feed stamps them: simulated time begins days behind the clock."""
    topic = broker.create_topics("clicks")
    times = [1_500_000_000_123, 1_500_000_000_122, 631_152_000_000, int(time.time() * 1_000)]
    broker.produce(topic, 0, [b"v"] * 4, record_times_ms=times)

    assert [record.timestamp()[1] for record in broker.read(topic)] == times


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_a_batch_is_read_however_it_was_compressed(broker, codec):
    topic = broker.create_topics("clicks")
    producer = broker.producer({"compression.type": codec, "linger.ms": 50})
    for n in range(1_000):
        producer.produce(topic, b"value %d" % n, partition=0)
    assert producer.flush(TIMEOUT_S) == 0

    assert [record.value() for record in broker.read(topic)] == [b"value %d" % n for n in range(1_000)]


def test_an_idempotent_producer_is_served(broker):
    topic = broker.create_topics("rows", 2)
    producer = broker.producer({"enable.idempotence": True, "linger.ms": 2})
    for n in range(2_000):
        producer.produce(topic, b"%d" % n, partition=n % 2)
    assert producer.flush(TIMEOUT_S) == 0

    assert [record.value() for record in broker.read(topic, [1])] == [b"%d" % n for n in range(1, 2_000, 2)]


def test_a_message_of_900_kb_passes_and_one_above_the_limit_of_the_topic_does_not(broker):
    """Arrow batches and chunks of state are that large at most."""
    topic = broker.create_topics("rows", max_message_bytes="1000000")
    large = bytes(range(250)) * 3_600
    broker.produce(topic, 0, [large])
    if broker.kind == "kafka":  # the embedded broker knows no limit
        with pytest.raises(KafkaException) as refused:
            broker.produce(topic, 0, [b"x" * 1_000_001])
        assert refused.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE

    assert [record.value() for record in broker.read(topic)] == [large]


def test_the_cluster_has_an_id_and_every_client_is_told_the_same(broker):
    asked = [AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=TIMEOUT_S).cluster_id for _ in range(2)]

    assert asked[0]
    assert asked[0] == asked[1]


def test_a_topic_is_made_once_with_the_partitions_asked_for(broker):
    topic = broker.create_topics("clicks", 5)

    def made_again() -> Future[None]:
        return broker.admin.create_topics([NewTopic(topic, 3, 1)])[topic]

    assert sorted(broker.admin.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions) == [0, 1, 2, 3, 4]
    with pytest.raises(KafkaException) as refused:
        made_again().result(TIMEOUT_S)
    assert refused.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    assert len(broker.admin.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions) == 5


def test_a_topic_nobody_made_is_not_there(broker):
    """Ask with a consumer: asked by name by an AdminClient, the embedded broker makes the topic."""
    name = f"{broker.prefix}.misspelt"
    consumer = broker.consumer()
    try:
        asked = consumer.list_topics(name, timeout=TIMEOUT_S).topics[name]
    finally:
        consumer.close()

    assert asked.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert name not in broker.admin.list_topics(timeout=TIMEOUT_S).topics


def test_an_empty_log_ends_at_zero_and_says_so(broker):
    topic = broker.create_topics("clicks", 2)

    assert broker.end_offsets(topic) == [0, 0]
    assert broker.read(topic) == []


def test_a_fetch_says_where_the_log_ends(broker):
    """Asked without a fetch, the embedded broker says where its last batch begins, plus one: never too much."""
    topic = broker.create_topics("clicks", 2)
    for size in (1, 500, 20):
        broker.produce(topic, 0, [b"v"] * size)
    consumer = broker.consumer()
    try:
        listed = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=TIMEOUT_S)
    finally:
        consumer.close()

    assert broker.end_offsets(topic) == [521, 0]
    assert listed[0] == 0
    assert listed[1] == 521 if broker.kind == "kafka" else 501 < listed[1] <= 521


def test_a_record_is_read_at_its_offset(broker):
    """Chunks of state are found so."""
    topic = broker.create_topics("chunks")
    broker.produce(topic, 0, [b"%d" % n for n in range(100)])
    consumer = broker.consumer()
    found: list[Message] = []
    try:
        for offset in (99, 0, 57):
            consumer.assign([TopicPartition(topic, 0, offset)])
            found += consumer.consume(1, TIMEOUT_S)
    finally:
        consumer.close()

    assert [(record.offset(), record.value()) for record in found] == [(99, b"99"), (0, b"0"), (57, b"57")]


def test_a_group_keeps_its_offsets_and_no_other_sees_them(broker):
    topic = broker.create_topics("clicks", 3)
    group = f"{broker.prefix}.group"
    consumer = broker.consumer(group)
    offsets = [TopicPartition(topic, 0, 17), TopicPartition(topic, 2, 0)]
    consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()

    assert broker.committed(group, topic, 3) == [17, None, 0]
    assert broker.committed(f"{group}.other", topic, 3) == [None] * 3


def test_a_group_shares_partitions_by_range_and_shares_again_when_a_member_comes_or_goes(broker):
    """By range: the same partition of two topics sits with the same member, or no join would work."""
    topics = [broker.create_topics(name, 4) for name in ("orders", "tickets")]
    first, second = (broker.consumer(f"{broker.prefix}.group") for _ in range(2))
    members = [first, second]
    try:
        first.subscribe(topics)
        taken([first], lambda: len(first.assignment()) == 8)
        second.subscribe(topics)
        taken(members, lambda: len(first.assignment()) == len(second.assignment()) == 4)
        for member in members:
            assert partitions_of(member, topics[0]) == partitions_of(member, topics[1])
        assert partitions_of(first, topics[0]) | partitions_of(second, topics[0]) == {0, 1, 2, 3}
        first.close()
        taken([second], lambda: len(second.assignment()) == 8)
    finally:
        for member in members:
            member.close()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Make a machine that has only these programs, and what every machine has."""

    def make(**scripts: str) -> None:
        programs = ("sh", "dirname", "sed", "head", "cksum", "cut", "mkdir", "cat", "rm", "mv")
        for name in programs:
            (tmp_path / name).symlink_to(shutil.which(name))
        for name, script in scripts.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return make


def test_a_machine_without_java_is_told_what_is_missing(machine):
    machine()

    assert why_no_kafka() == "no Java found; version 17 or newer is needed"


@pytest.mark.parametrize(("said", "found"), [("11.0.2", "11"), ("1.8.0_392", "1")])
def test_a_machine_with_an_old_java_is_told_what_is_missing(machine, said, found):
    machine(java=f"echo 'openjdk version \"{said}\" 2020-01-01' >&2")

    assert why_no_kafka() == f"Java {found} found; version 17 or newer is needed"


def test_a_machine_without_maven_is_told_what_is_missing(machine, tmp_path, monkeypatch):
    """Only if the jars are not there yet."""
    machine(java="echo 'openjdk version \"21\" 2023-09-19' >&2")
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name in ("kafka.sh", "pom.xml"):
        (folder / name).write_bytes(KAFKA_SCRIPT.with_name(name).read_bytes())
    monkeypatch.setattr(brokers, "KAFKA_SCRIPT", folder / "kafka.sh")

    assert why_no_kafka() == "no Maven found; it is needed once, to fetch the jars of Kafka"
    monkeypatch.setenv("PATH", os.environ["PATH"])
    (tmp_path / "mvn").write_text(
        '#!/bin/sh\nfor option; do case $option in *outputDirectory=*) mkdir "${option#*=}";; esac; done\n'
    )
    (tmp_path / "mvn").chmod(0o755)
    assert why_no_kafka() is None
    (tmp_path / "mvn").unlink()
    assert why_no_kafka() is None


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--port", "x"], "--port takes a port, not 'x'"),
        (["--port"], "--port needs a value"),
        (["--data", ""], "--data needs a folder"),
        (["--set", "num.partitions"], "--set takes KEY=VALUE, not 'num.partitions'"),
        (["--ports", "1"], "unknown option --ports (there are --port, --controller-port, --data, --set, --resolve)"),
    ],
)
def test_a_wrong_option_of_the_script_is_named(options, complaint):
    done = subprocess.run(["sh", str(KAFKA_SCRIPT), *options], check=False, capture_output=True, text=True, timeout=30)

    assert done.returncode == 2
    assert done.stderr == f"kafka.sh: {complaint}\n"


def test_a_second_broker_on_the_same_data_is_refused(kafka_broker):
    """Kafka itself lets both spoil them."""
    server = kafka_broker.server
    ports = ["--port", str(free_port()), "--controller-port", str(free_port())]
    second = ["sh", str(KAFKA_SCRIPT), *ports, "--data", str(server.folder)]
    done = subprocess.run(second, check=False, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert re.fullmatch(r"kafka.sh: process \d+ runs a broker on the data folder .*\n", done.stderr)
    assert kafka_broker.admin.list_topics(timeout=TIMEOUT_S).brokers
