"""Who holds a partition, on a real broker: claims, epochs and markers of others, and positions that mean nothing any more."""

import asyncio
import time
from dataclasses import replace

import polars as pl
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from agents import topics
from agents.arrow_batches import messages, without_rows
from agents.kafka_checkpoints import CLAIM_KEY, chunk_keys, manifest_key
from agents.manifests import Manifest
from agents.takeover import PositionRefused
from agents.topics import Topic, TopicsUnfit, make_topics
from pipeline.about import About, Source
from pipeline.frames import SESSIONS
from tests.running_clicks import PARTITIONS, QUICK, Clicks, MemoryWriter, counted, everything, shown, until, worker_on

pytestmark = pytest.mark.broker


def manifests_of(broker, partition):
    """Newest manifest of every epoch, by epoch."""
    records = everything(broker, topics.manifests(broker.prefix, "counts"), partition)
    found = [Manifest.from_json(record.value()) for record in records if record.key() != CLAIM_KEY and record.value() is not None]
    return {manifest.epoch: manifest for manifest in found}


def ghost_row(clicks, partition, epoch):
    """A row as somebody writes it who has lost the partition: wrong, and with a version far ahead."""
    about = About(
        Source("counts", clicks.topic, partition), epoch, 10**9, None, version=(time.time_ns() // 1_000) + 10**12, table="sessions"
    )
    row = SESSIONS.conform(pl.DataFrame({"partition": [partition], "visitor_id": [f"v{partition}"], "n_events": [10**6]}))
    return list(messages(row.select(*SESSIONS.schema), about))


def test_a_stranger_who_claims_writes_and_marks_is_outranked_again(broker):
    """A worker that lost a partition during its own take-over outranks the owner; results must not stand still."""
    clicks, writer = Clicks(broker), MemoryWriter()
    clicks.make(4_000)
    manifests = topics.manifests(broker.prefix, "counts")

    async def story():
        worker = worker_on(broker, clicks, writer)
        async with worker.running():
            assert await worker.settled(60)
            # He loads our manifest, and is gone after his marker.
            ours = manifests_of(broker, 1)
            (epoch,) = broker.produce(manifests, 1, [b"{}"], keys=[CLAIM_KEY])
            his = replace(ours[max(ours)], epoch=epoch, seq=0)
            broker.produce(manifests, 1, [his.to_json()], keys=[manifest_key(his)])
            told = without_rows(About(Source("counts", clicks.topic, 1), epoch, his.standing.position, None, is_marker=True))
            for partition in range(PARTITIONS):
                broker.produce(topics.rows(broker.prefix), partition, [told])
            clicks.make(4_000)
            await until(lambda: counted(worker) == 8_000 and max(manifests_of(broker, 1)) > epoch)
            clicks.make(1_000)
            await until(lambda: counted(worker) == 9_000)
            assert await worker.settled(60)
            return worker.sink.fenced

    assert asyncio.run(story()) > 0
    assert shown(broker).sessions() == clicks.expected
    assert writer.counts() == clicks.expected


def test_what_a_zombie_still_writes_is_ignored(broker):
    """Rows with the highest version of all, a manifest far ahead, and tombstones, under an epoch that is over."""
    clicks, writer = Clicks(broker), MemoryWriter()
    clicks.make(2_000)

    async def first():
        async with worker_on(broker, clicks, writer).running() as worker:
            assert await worker.settled(60)

    async def second():
        worker = worker_on(broker, clicks, writer)
        async with worker.running():
            await until(worker.shells["counts"].positions)
            for partition, old in before.items():
                ahead = replace(old, seq=old.seq + 10, standing=replace(old.standing, position=10**6))
                broker.produce(topics.manifests(broker.prefix, "counts"), partition, [ahead.to_json()], keys=[manifest_key(ahead)])
                keys = list(chunk_keys(old))
                broker.produce(topics.chunks(broker.prefix, "counts"), partition, [None] * len(keys), keys=keys)
                broker.produce(topics.rows(broker.prefix), partition, ghost_row(clicks, partition, old.epoch))
            clicks.make(2_000)
            assert await worker.settled(60)

    async def third():
        async with worker_on(broker, clicks, writer).running() as worker:
            clicks.make(1_000)
            await until(lambda: counted(worker) == 5_000)
            assert await worker.settled(60)

    asyncio.run(first())
    before = {partition: found[max(found)] for partition in range(PARTITIONS) if (found := manifests_of(broker, partition))}
    asyncio.run(second())
    asyncio.run(third())

    found = shown(broker)
    assert found.fenced == PARTITIONS
    assert found.sessions() == clicks.expected
    assert writer.counts() == clicks.expected


def test_a_worker_goes_on_where_its_manifests_say_whatever_the_group_has_committed(broker):
    """Also when the group was deleted, or somebody has set its offsets: they are for monitoring."""
    clicks = Clicks(broker)
    clicks.make(2_000)

    async def story(total):
        async with worker_on(broker, clicks).running() as worker:
            await until(lambda: counted(worker) == total)
            assert await worker.settled(60)

    asyncio.run(story(2_000))
    meddler = broker.consumer(broker.prefix)
    meddler.commit(offsets=[TopicPartition(clicks.topic, at, 7 if at % 2 else 500) for at in range(PARTITIONS)], asynchronous=False)
    meddler.close()
    clicks.make(1_000)
    asyncio.run(story(3_000))

    assert shown(broker).sessions() == clicks.expected


async def taken_by_hand(worker):
    """Take over what a single member would be given, without a group."""
    for partition in range(PARTITIONS):
        await asyncio.to_thread(worker.shells["counts"]._take_over.take, partition, lambda: True)


def change_manifests(broker, *, position=None, **changes):
    """Keep once more what was kept last, with these changes."""
    for partition in range(PARTITIONS):
        newest = (found := manifests_of(broker, partition))[max(found)]
        standing = newest.standing if position is None else replace(newest.standing, position=position)
        changed = replace(newest, seq=newest.seq + 1, standing=standing, **changes)
        broker.produce(topics.manifests(broker.prefix, "counts"), partition, [changed.to_json()], keys=[manifest_key(changed)])


def kept_at(broker, position):
    """Clicks whose fold has been kept at this position, whatever lies on the topic."""
    clicks = Clicks(broker)
    clicks.make(400)
    asyncio.run(taken_by_hand(worker_on(broker, clicks)))
    change_manifests(broker, position=position)
    return clicks


def test_a_log_that_was_made_anew_is_refused(broker):
    clicks = kept_at(broker, 5_000)

    with pytest.raises(PositionRefused, match=r"ends before offset 100 .* --inputs-from earliest .* --inputs-from latest"):
        asyncio.run(taken_by_hand(worker_on(broker, clicks)))


def test_another_cluster_is_refused_and_read_from_the_earliest_if_asked(broker):
    """What the embedded broker is after every start: another one, whose offsets begin at 0 again. The state is kept."""
    clicks = Clicks(broker)
    clicks.make(400)

    async def before():
        async with worker_on(broker, clicks).running() as worker:
            assert await worker.settled(60)

    asyncio.run(before())
    change_manifests(broker, cluster_id="another")

    with pytest.raises(PositionRefused, match="made on cluster 'another'"):
        asyncio.run(taken_by_hand(worker_on(broker, clicks)))

    async def story():
        worker = worker_on(broker, clicks, settings=replace(QUICK, inputs_from="earliest"))
        async with worker.running():
            await until(lambda: worker.folds["counts"].progress.events == 400)
            assert await worker.settled(60)
            return counted(worker)

    assert asyncio.run(story()) == 800  # on top of what it knew


def test_records_that_the_broker_has_cut_behind_us_are_missed(kafka_broker):
    clicks = kept_at(kafka_broker, 9)
    cut = [TopicPartition(clicks.topic, partition, 50) for partition in range(PARTITIONS)]
    for done in kafka_broker.admin.delete_records(cut).values():
        done.result(20)

    with pytest.raises(PositionRefused, match="records 10 to 49 are not on the broker any more"):
        asyncio.run(taken_by_hand(worker_on(kafka_broker, clicks)))


def test_a_worker_that_refuses_a_position_ends_and_says_why(broker, monkeypatch):
    """Raised in Faust's signal it must not be lost."""
    clicks, told = kept_at(broker, 5_000), []
    monkeypatch.setattr("agents.app.end_process", told.append)

    async def story():
        async with worker_on(broker, clicks).running():
            await until(lambda: told)

    asyncio.run(story())

    assert "--inputs-from" in str(told[0])
    assert told[0].__traceback__ is None


def test_topics_are_made_once_and_left_as_they_are(broker):
    admin, prefix = AdminClient({"bootstrap.servers": broker.bootstrap}), broker.prefix
    wanted = [Topic.of_events(f"{prefix}.clicks", 3), Topic.of_rows(prefix, 2), *Topic.of_state(prefix, "counts", 3)]

    first = make_topics(admin, wanted)
    second = make_topics(admin, [Topic.of_events(f"{prefix}.clicks", 1)])

    assert {name: n for name, n in first.partitions.items() if name.startswith(prefix)} == {
        f"{prefix}.clicks": 3,
        f"{prefix}.rows": 2,
        f"{prefix}.counts.chunks": 3,
        f"{prefix}.counts.manifests": 3,
    }
    assert second.partitions[f"{prefix}.clicks"] == 3
    assert second.cluster_id == first.cluster_id != ""


def test_a_topic_of_state_with_too_few_partitions_is_refused(broker):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    broker.create_topics("counts.chunks", 2, cleanup_policy="compact")

    with pytest.raises(TopicsUnfit, match=r"counts\.chunks has 2 partitions and must have at least 4"):
        make_topics(admin, Topic.of_state(broker.prefix, "counts", 4))


def test_a_topic_of_state_that_the_broker_would_cut_is_refused(broker):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    broker.create_topics("counts.manifests", 4, cleanup_policy="delete")

    with pytest.raises(TopicsUnfit, match=r"counts.manifests must have cleanup.policy=compact"):
        make_topics(admin, Topic.of_state(broker.prefix, "counts", 4))
