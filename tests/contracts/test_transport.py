"""What the transport promises, on every broker, to the smallest shell there is."""

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from itertools import pairwise

import pytest
from confluent_kafka import TopicPartition
from faust.types import TP

from agents import consumer_thread
from agents.client_answers import PositionLost
from agents.consumer_thread import Limits
from agents.faust_app import running
from agents.runs import Run
from tests.brokers import BrokerInTest
from tests.transport_reader import PATIENCE_S, Reader, filled, reading


@contextmanager
def another_member(broker: BrokerInTest, reader: Reader, topic: str) -> Iterator[threading.Event]:
    """Have a stranger in the reader's group, who throws away what it reads, and is served first; say when it has been."""
    stranger, served, leaving = broker.consumer(reader.group, {"client.id": "!"}), threading.Event(), threading.Event()
    stranger.subscribe([topic], on_assign=lambda _stranger, _partitions: served.set())

    def stay() -> None:
        while not leaving.is_set():
            stranger.poll(0.05)
        stranger.close()

    staying = threading.Thread(target=stay)
    staying.start()
    try:
        yield served
    finally:
        leaving.set()
        staying.join()


@pytest.fixture(autouse=True)
def defects(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What would have ended the process."""
    found: list[BaseException] = []
    monkeypatch.setattr(consumer_thread, "end_process", found.append)
    return found


def test_thrown_away_runs_come_again_and_nothing_is_committed(broker, defects):
    """3% of what Faust hands over is lost on purpose: the fold takes every record once, in order."""
    topic, ends = filled(broker, "clicks", [1_000, 300, 0, 1])
    reader = Reader(broker, [topic], loses_every=33, limits=Limits(linger_s=0.01))

    def one_more() -> None:
        for tp in ends:
            broker.produce(topic, tp.partition, [b"v"] * 5)
            ends[tp] += 5

    async def scenario():
        async with reading(reader):
            await reader.until(lambda: bool(reader.positions), "be assigned")
            while reader.n_lost < 3:
                await asyncio.to_thread(one_more)
            reader.loses_every = 0
            await asyncio.to_thread(one_more)  # a hole is seen by what comes after it
            await reader.reads_to(ends)

    asyncio.run(scenario())
    assert reader.offsets == {tp: list(range(end)) for tp, end in ends.items()}
    assert reader.n_holes > 0
    assert broker.committed(reader.group, topic, 4) == [None] * 4
    assert not defects


def test_reading_starts_at_the_positions_given_after_every_rebalance(broker, defects):
    """Whatever the group has committed, and whatever was read before."""
    topic, ends = filled(broker, "clicks", [100, 100])
    first, second = ends
    reader = Reader(broker, [topic], begin={first: 39, second: 59})
    other = broker.consumer(reader.group)
    other.commit(offsets=[TopicPartition(topic, 0, 70), TopicPartition(topic, 1, 80)], asynchronous=False)
    other.close()

    async def scenario():
        async with reading(reader):
            await reader.reads_to(ends)
            reader.begin = {first: 9, second: 19}
            with another_member(broker, reader, topic):
                await reader.until(lambda: len(reader.positions) == 1, "share the partitions")
                kept = next(iter(reader.positions))
                await reader.reads_to({kept: 100})
            await reader.reads_to(ends)

    asyncio.run(scenario())
    firsts = [afters for afters in reader.first_afters if afters]
    assert firsts[0] == {first: 39, second: 59}
    assert len(firsts) >= 3
    for afters in firsts[1:]:
        assert afters.items() <= {first: 9, second: 19}.items()
    assert reader.n_holes == 0
    assert broker.committed(reader.group, topic, 2) == [70, 80]
    assert not defects


def test_a_worker_without_a_partition_waits_for_one(kafka_broker, defects):
    topic, ends = filled(kafka_broker, "clicks", [100])
    reader = Reader(kafka_broker, [topic])

    async def scenario():
        async with AsyncExitStack() as until_the_end:
            with another_member(kafka_broker, reader, topic) as served:
                assert await asyncio.to_thread(served.wait, PATIENCE_S)
                await until_the_end.enter_async_context(reading(reader))
                await reader.until(lambda: bool(reader.first_afters), "take nothing over")
                assert not reader.positions
            await reader.reads_to(ends)

    asyncio.run(scenario())
    assert not defects


def test_a_worker_may_be_stopped_before_it_has_begun(broker, defects):
    topic, _ = filled(broker, "clicks", [1])

    async def scenario(after_s: float):
        reader = Reader(broker, [topic])
        async with reading(reader):
            await asyncio.sleep(after_s)

    for after_s in (0.0, 0.2, 1.05):
        asyncio.run(scenario(after_s))
    assert not defects


def test_a_task_that_raises_is_told(broker, defects):
    """Faust's tasks start with the first assignment, and a defect in one must not leave the worker standing."""
    topic, _ = filled(broker, "clicks", [1])
    reader = Reader(broker, [topic])

    @reader.app.task
    async def broken() -> None:
        raise RuntimeError("broken")

    async def scenario():
        told: list[BaseException] = []
        async with running(reader.app, on_crash=told.append):
            await reader.until(lambda: bool(told), "tell")
        return told

    assert [str(error) for error in asyncio.run(scenario())] == ["broken"]
    assert not defects


def test_reading_goes_on_where_it_was_when_a_killed_broker_is_back(kafka_broker, defects):
    topic, ends = filled(kafka_broker, "clicks", [500, 500])
    reader = Reader(kafka_broker, [topic])

    async def scenario():
        async with reading(reader):
            await reader.reads_to(ends)
            await asyncio.to_thread(kafka_broker.restart, kill=True)
            for tp in ends:
                await asyncio.to_thread(kafka_broker.produce, topic, tp.partition, [b"v"] * 10)
            await reader.reads_to(dict.fromkeys(ends, 510))

    asyncio.run(scenario())
    assert reader.offsets == {tp: list(range(510)) for tp in ends}
    assert not defects


def test_a_seek_while_fetching_crosses_no_fetch(broker, defects):
    topic, ends = filled(broker, "clicks", [30_000] * 4)
    reader = Reader(broker, [topic], limits=Limits(batch=500))
    dice = random.Random(5)
    sought = {(tp, -1) for tp in ends}

    async def scenario():
        async with reading(reader):
            await reader.until(lambda: len(reader.offsets) == 4, "begin to read")
            for n in range(20):
                tp = dice.choice(list(ends))
                at = dice.randint(-1, reader.positions[tp])
                sought.add((tp, at))
                reader.positions[tp] = at
                await reader.consumer.perform_seek([tp] if n % 3 else None)
                if n % 5 == 0:
                    time.sleep(0.1)  # noqa: ASYNC251 - a busy event loop, on purpose
                await asyncio.sleep(dice.random() / 20)
            await reader.reads_to(ends)

    asyncio.run(scenario())
    for tp, offsets in reader.offsets.items():
        jumps = {at for before, at in pairwise([-2, *offsets]) if at != before + 1}
        assert {(tp, at - 1) for at in jumps} <= sought
        assert set(offsets) == set(range(ends[tp]))
    assert not defects


def test_a_take_over_slower_than_the_request_timeout_does_not_stop_the_worker(broker, defects):
    topic, ends = filled(broker, "clicks", [100, 100])
    reader = Reader(broker, [topic], take_over_s=2.0, broker_request_timeout=1.0)

    async def scenario():
        async with reading(reader):
            await reader.reads_to(ends)

    asyncio.run(scenario())
    assert not defects


def test_an_idle_worker_sleeps_and_knows_that_it_is_caught_up(broker, defects):
    """Under 5% of a core, with events read before."""
    topic, ends = filled(broker, "clicks", [1_000, 1, 0, 0])
    reader = Reader(broker, [topic])

    def all_caught_up() -> bool:
        return all(reader.consumer.caught_up(tp, at) for tp, at in reader.positions.items())

    async def scenario():
        async with reading(reader):
            await reader.reads_to(ends)
            await reader.until(all_caught_up, "be caught up")
            used_s, begun = time.process_time(), time.monotonic()
            while time.monotonic() - begun < 6.0:
                await asyncio.sleep(1.0)
                assert all_caught_up()
            return (time.process_time() - used_s) / (time.monotonic() - begun)

    assert asyncio.run(scenario()) < 0.05
    assert not defects


def test_caught_up_is_true_of_applied_positions_only(broker, defects):
    topic, ends = filled(broker, "clicks", [10, 0])
    full, empty = ends
    reader = Reader(broker, [topic])

    async def scenario():
        async with reading(reader):
            consumer = reader.consumer
            await reader.reads_to(ends)
            await reader.until(lambda: consumer.caught_up(full, 9), "be caught up with what there was")
            await reader.until(lambda: consumer.caught_up(empty, -1), "be caught up with an empty log")
            assert not consumer.caught_up(full, 8)

            reader.wanted = lambda _run: False  # the next one comes, and is not applied
            broker.produce(topic, 0, [b"one more"])
            await reader.until(lambda: not consumer.caught_up(full, 9), "hear of the next record")
            assert consumer.caught_up(full, 10)

            consumer.hold([full])
            await reader.commands_are_done()
            assert not consumer.caught_up(full, 10)
            assert consumer.caught_up(empty, -1)
            consumer.release([full])
            await reader.until(lambda: consumer.caught_up(full, 10), "be caught up again")

    asyncio.run(scenario())
    assert not any(reader.seen_before_the_seek)
    assert not defects


def test_a_held_partition_waits_and_the_others_go_on(broker, defects):
    topic, ends = filled(broker, "clicks", [100, 100])
    held, other = ends
    reader = Reader(broker, [topic])

    async def scenario():
        async with reading(reader):
            await reader.reads_to(ends)
            reader.consumer.hold([held, TP("no-topic", 7)])
            await reader.commands_are_done()
            for partition in (0, 1):
                broker.produce(topic, partition, [b"v"] * 50)
            await reader.reads_to({held: 100, other: 150})
            await reader.consumer.perform_seek()  # a seek does not end a hold
            broker.produce(topic, 1, [b"v"] * 50)
            await reader.reads_to({held: 100, other: 200})
            await asyncio.sleep(0.3)
            assert reader.positions[held] == 99
            reader.consumer.release([held])
            await reader.reads_to({held: 150, other: 200})

    asyncio.run(scenario())
    assert reader.offsets == {held: list(range(150)), other: list(range(200))}
    assert not defects


def test_a_stage_that_never_takes_stops_no_other_and_memory_is_bounded(broker, defects):
    """40 MB wait for a stage whose inbox takes 2 MB; and 8 MB wait while the event loop is busy."""
    blocked, blocked_ends = filled(broker, "rows", [20_000, 20_000], b"v" * 1_000)
    live, live_ends = filled(broker, "clicks", [50_000, 50_000])
    limits = Limits(share=1 << 20, batch=1_000)
    reader = Reader(broker, [blocked, live], limits=limits)
    waiting: list[Run] = []

    def wanted(run: Run) -> bool:
        if run.tp in live_ends:
            return True
        waiting.append(run)
        if sum(run.size for run in waiting) > 2 << 20:
            reader.consumer.hold(blocked_ends)
        return False

    reader.wanted = wanted

    async def scenario():
        async with reading(reader):
            await reader.until(lambda: bool(reader.positions), "be assigned")
            time.sleep(1.5)  # noqa: ASYNC251 - a busy event loop, on purpose
            a_poll = limits.batch * 1_000
            assert not reader.consumer._thread.arrivals.larger_than(limits.share + a_poll)
            await reader.until(lambda: all(reader.positions[tp] + 1 == end for tp, end in live_ends.items()), "read on")
            await asyncio.sleep(0.5)

    asyncio.run(scenario())
    assert 2 << 20 < sum(run.size for run in waiting) < 8 << 20
    assert reader.offsets == {tp: list(range(end)) for tp, end in live_ends.items()}
    assert not defects


@pytest.mark.parametrize("begin", [10, 5_000])
def test_a_position_that_the_log_does_not_hold_is_a_defect(kafka_broker, defects, begin):
    """Never a jump to the earliest or the newest record. The embedded broker cuts no log, and gives nothing beyond its end."""
    topic, ends = filled(kafka_broker, "clicks", [100])
    kafka_broker.admin.delete_records([TopicPartition(topic, 0, 50)])[TopicPartition(topic, 0)].result(PATIENCE_S)
    reader = Reader(kafka_broker, [topic], begin=dict.fromkeys(ends, begin))

    async def scenario():
        async with reading(reader):
            await reader.until(lambda: bool(defects), "notice")

    asyncio.run(scenario())
    assert isinstance(defects[0], PositionLost)
    assert not reader.offsets
