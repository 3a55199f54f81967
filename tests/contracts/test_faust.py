"""What the transport relies on inside of Faust. A new version of Faust must come past these, and they need no broker."""

import asyncio
import inspect
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faust
import mode
import pytest
from confluent_kafka import Message
from faust.tables.recovery import RebalanceAgain, ServiceStopped
from faust.transport import base, consumer, producer
from faust.transport.conductor import Conductor
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from agents.faust_app import faust_settings, running
from agents.runs import Run, RunScheduling, RunSchema
from agents.transport import RunConsumer, Transport, build_transport

CLICKS, ORDERS = TP("clicks", 0), TP("orders", 0)

ABSTRACT = {
    *("_commit", "_getmany", "_new_topicpartition", "_seek", "_to_message", "assignment", "create_topic", "earliest_offsets"),
    *("highwater", "highwaters", "key_partition", "position", "seek_to_committed", "seek_wait", "subscribe", "topic_partitions"),
}

SIGNATURES = {
    consumer.Consumer.__init__: [
        *("self", "transport", "callback", "on_partitions_revoked", "on_partitions_assigned"),
        *("commit_interval", "commit_livelock_soft_timeout", "loop", "kwargs"),
    ],
    consumer.Consumer._getmany: ["self", "active_partitions", "timeout"],
    consumer.Consumer._to_message: ["self", "tp", "record"],
    consumer.Consumer._wait_next_records: ["self", "timeout"],
    consumer.Consumer._commit: ["self", "offsets"],
    consumer.Consumer._seek: ["self", "partition", "offset"],
    consumer.Consumer.perform_seek: ["self"],
    consumer.Consumer.on_partitions_assigned: ["self", "assigned", "generation_id"],
    consumer.Consumer.on_partitions_revoked: ["self", "revoked"],
    consumer.Consumer.close: ["self"],
    base.Transport.__init__: ["self", "url", "app", "loop"],
    base.Transport.create_consumer: ["self", "callback", "kwargs"],
    DefaultSchedulingStrategy.iterate: ["self", "records"],
    faust.Schema.loads_key: ["self", "app", "message", "loads", "serializer"],
    faust.Schema.loads_value: ["self", "app", "message", "loads", "serializer"],
    faust.App.on_rebalance_start: ["self"],
}


def run_of(tp: TP, offsets: Iterable[int], *, after: int | None = None) -> Run:
    """A run as the consumer's thread makes it."""
    offsets = list(offsets)
    run = Run(after=offsets[0] - 1 if after is None else after, seeks=0)
    run.add([Message(topic=tp.topic, partition=tp.partition, offset=at, value=b"v", timestamp=(1, 1_500)) for at in offsets])
    return run


class Trail(list[str]):
    """What was called, in this order."""

    def note(self, what: str, answer: Any = None) -> Any:
        """A function that notes its call, and answers with a coroutine if `answer` is one's function."""

        def noted(*_args: Any, **_options: Any) -> Any:
            self.append(what)
            return answer() if callable(answer) else answer

        return noted


async def nothing() -> None:
    """What a coroutine returns that has nothing to do."""


@pytest.fixture
def faust_app(tmp_path: Path):
    """Make an app with our transport, whose client is never started; to be called within an event loop."""

    def make(positions: Mapping[TP, int] | None = None, **settings: Any) -> faust.App:
        app = faust.App("contract", **(faust_settings() | {"datadir": tmp_path / "faust"} | settings))
        build_transport(app, "127.0.0.1:1", lambda: positions or {}, {})
        return app

    return make


def delivering(app: faust.App, batches: list[dict[TP, Run]], active: set[TP]) -> RunConsumer:
    """The app's consumer, which is given these batches, one a fetch, and then nothing."""
    found = app.consumer
    found._set_active_tps(active)

    async def getmany(active_partitions: set[TP], timeout: float) -> dict[TP, Run]:  # noqa: ASYNC109, ARG001 - as Faust calls it
        await asyncio.sleep(0)
        return batches.pop(0) if batches else {}

    found._getmany = getmany
    return found


def test_faust_is_the_one_all_this_was_read_in():
    assert version("faust-streaming") == "0.15.3"
    assert version("mode-streaming") == "0.7.1"


# Its consumer -----------------------------------------------------------------------------------------------------------------


def test_a_consumer_has_to_say_these_things_and_ours_says_all_of_them():
    assert consumer.Consumer.__abstractmethods__ == ABSTRACT
    assert RunConsumer.__abstractmethods__ == frozenset()


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda function: function.__qualname__)
def test_signatures_are_these(function):
    assert list(inspect.signature(function).parameters) == SIGNATURES[function]


@pytest.mark.parametrize("name", ["on_start", "on_stop", "perform_seek", "_wait_next_records", "on_partitions_assigned", "_commit"])
def test_what_we_await_or_make_awaitable_is_a_coroutine(name):
    assert inspect.iscoroutinefunction(inspect.unwrap(getattr(consumer.Consumer, name)))


def test_nobody_else_seeks_or_fetches():
    """Who asks for a seek or a fetch, in all of Faust but its own drivers."""
    root = Path(inspect.getfile(faust)).parent
    asked = {"perform_seek(": set(), "._getmany(": set(), ".seek_wait(": set(), "_wait_next_records(": set(), "._to_message": set()}
    for path in root.rglob("*.py"):
        if "drivers" not in path.parts:
            source = path.read_text()
            for call, found in asked.items():
                if any(call in line and "def " not in line for line in source.splitlines()):
                    found.add(path.relative_to(root).as_posix())

    assert asked == {
        "perform_seek(": {"tables/recovery.py", "transport/consumer.py"},
        "._getmany(": {"transport/consumer.py"},
        ".seek_wait(": {"tables/recovery.py", "transport/consumer.py"},
        "_wait_next_records(": {"transport/consumer.py"},
        "._to_message": {"transport/consumer.py"},
    }


def test_every_item_of_the_scheduler_becomes_one_message_in_its_order(faust_app):
    runs = {CLICKS: run_of(CLICKS, range(5, 9)), ORDERS: run_of(ORDERS, range(3))}

    async def scenario():
        found = delivering(faust_app(), [runs], {CLICKS, ORDERS})
        assert isinstance(found.scheduler, RunScheduling)
        return [(tp, message) async for tp, message in found.getmany(timeout=1.0)]

    delivered = asyncio.run(scenario())
    assert [tp for tp, _ in delivered] == [CLICKS, ORDERS]
    assert [message.value for _, message in delivered] == list(runs.values())
    assert [message.offset for _, message in delivered] == [8, 2]
    assert all(isinstance(message, ConsumerMessage) for _, message in delivered)


def test_what_is_not_active_is_dropped_in_silence(faust_app):
    """So `_getmany` may only give what it was asked for."""

    async def scenario():
        found = delivering(faust_app(), [{CLICKS: run_of(CLICKS, [0]), ORDERS: run_of(ORDERS, [0])}], {ORDERS})
        return [tp async for tp, _ in found.getmany(timeout=1.0)]

    assert asyncio.run(scenario()) == [ORDERS]


def test_a_fetch_is_asked_for_what_is_active_and_for_nothing_else(faust_app):
    async def scenario():
        found = faust_app().consumer
        found._set_active_tps({CLICKS, ORDERS})
        found.pause_partitions([ORDERS])
        asked: list[Any] = []

        async def getmany(active_partitions: set[TP], timeout: float) -> dict[TP, Run]:  # noqa: ASYNC109 - as Faust calls it
            asked.append((set(active_partitions), timeout))
            return {}

        found._getmany = getmany
        _ = [tp async for tp, _ in found.getmany(timeout=0.5)]
        return asked

    assert asyncio.run(scenario()) == [({CLICKS}, 0.5)]


def test_a_flow_that_stops_during_a_fetch_makes_faust_seek(faust_app):
    """Before the take-over of what comes next: therefore our `_wait_next_records` waits until the flow goes on."""

    async def scenario(waits: Any):
        trail = Trail()
        found = delivering(faust_app(), [], {CLICKS})
        found.perform_seek = trail.note("seek", nothing)

        async def stopped_meanwhile(**_: Any) -> dict[TP, Run]:
            found._getmany = lambda **_: asyncio.sleep(0, {CLICKS: run_of(CLICKS, [7])})
            found.stop_flow()
            return {}

        found._getmany = stopped_meanwhile
        found._wait_next_records = lambda timeout: waits(found, timeout)

        async def fetch() -> None:
            async for _, message in found.getmany(timeout=1.0):
                trail.append(f"delivered {message.offset}")

        fetching = asyncio.create_task(fetch())
        await asyncio.sleep(0.05)
        trail.append("flow goes on")
        found.resume_flow()
        await fetching
        return trail

    assert asyncio.run(scenario(consumer.Consumer._wait_next_records)) == ["seek", "flow goes on"]
    assert asyncio.run(scenario(RunConsumer._wait_next_records)) == ["flow goes on", "delivered 7"]


def test_nothing_is_taken_while_the_flow_stands(faust_app):
    """Between a seek and the flow nobody delivers: what is taken then would be missing."""

    async def scenario():
        found = faust_app().consumer
        found.stop_flow()
        found._thread.arrivals.put({CLICKS: run_of(CLICKS, [0])})
        standing = await found._getmany({CLICKS}, 0.01)
        found.resume_flow()
        return standing, await found._getmany({CLICKS}, 0.01)

    standing, flowing = asyncio.run(scenario())
    assert standing == {}
    assert list(flowing) == [CLICKS]


def test_what_lies_below_the_last_offset_read_is_dropped_but_for_our_runs(faust_app):
    """A run that comes again after a seek back is delivered, and no gap is written down in front of a later one."""

    async def delivered(found: RunConsumer) -> list[int]:
        offsets: list[int] = []
        fetcher = mode.Service()

        async def callback(message: ConsumerMessage) -> None:
            offsets.append(message.offset)
            if message.offset == 99:
                fetcher._stopped.set()

        found.callback = callback
        await asyncio.wait_for(found._drain_messages(fetcher), 10.0)
        return offsets

    async def scenario(*, marks: bool):
        batches = [{CLICKS: run_of(CLICKS, offsets)} for offsets in (range(10, 20), range(5), range(50, 60), [99])]
        found = delivering(faust_app(), batches, {CLICKS})
        if marks:  # Faust's own way
            ours = found._to_message

            def marking(tp: TP, record: Any) -> ConsumerMessage:
                mark = found._read_offset[tp]
                message = ours(tp, record)
                found._read_offset[tp] = mark
                return message

            found._to_message = marking
        return await delivered(found), dict(found._gap)

    assert asyncio.run(scenario(marks=True))[0] == [19, 59, 99]
    assert asyncio.run(scenario(marks=False)) == ([19, 4, 59, 99], {})


# What is committed ------------------------------------------------------------------------------------------------------------


def test_a_topic_without_acks_is_never_committed(faust_app):
    async def scenario(*, acks: bool):
        trail = Trail()
        app = faust_app()
        topic = app.topic("clicks", schema=RunSchema(), acks=acks)
        app.topics.add(topic)
        await app.topics._update_indices()
        found = app.consumer
        found._thread.owned = frozenset([CLICKS])
        found._commit = trail.note("commit", lambda: asyncio.sleep(0, result=True))
        app._producer = type("Producer", (), {"flush": staticmethod(nothing)})()
        message = found._to_message(CLICKS, run_of(CLICKS, range(1, 4)))
        found.track_message(message)
        acked = found.ack(message)
        await found.commit()
        return app.topics.acks_enabled_for("clicks"), bool(acked), trail

    assert asyncio.run(scenario(acks=False)) == (False, False, [])
    assert asyncio.run(scenario(acks=True)) == (True, True, ["commit"])


# A rebalance ------------------------------------------------------------------------------------------------------------------


def resuming(app: faust.App, trail: Trail, *, assigned: set[TP], during_the_signal: Any = None) -> Any:
    """Faust's recovery of this app, where everything it does next is noted and not done."""
    found = app.consumer
    found._thread.owned = frozenset(assigned)
    app.consumer_generation_id = 1

    async def take_over(*_args: Any, **_options: Any) -> None:
        trail.append("signal")
        await asyncio.sleep(0.05)
        if during_the_signal:
            during_the_signal()
        trail.append("taken over")

    app.on_rebalance_complete.connect(take_over, weak=False)
    found.perform_seek = trail.note("seek", nothing)
    found.resume_flow = trail.note("flow")
    app._fetcher.maybe_start = trail.note("fetcher", nothing)
    app.on_rebalance_end = trail.note("end")
    return app.tables.recovery


def test_the_take_over_is_awaited_then_comes_the_seek_then_the_flow(faust_app):
    async def scenario(assigned: set[TP]):
        trail = Trail()
        app = faust_app(broker_request_timeout=0.01)  # which is for the seek alone
        await resuming(app, trail, assigned=assigned)._resume_streams(generation_id=1)
        return trail, app.consumer._get_active_partitions()

    trail, active = asyncio.run(scenario({CLICKS}))
    assert trail == ["signal", "taken over", "seek", "flow", "fetcher", "end"]
    assert active == {CLICKS}
    assert asyncio.run(scenario(set()))[0] == ["signal", "taken over", "flow", "fetcher", "end"]


def test_a_take_over_that_was_overtaken_by_a_rebalance_starts_nothing(faust_app):
    """The generation is what Faust looks at, and the consumer's thread sets it."""

    async def scenario():
        trail = Trail()
        app = faust_app()
        await resuming(app, trail, assigned={CLICKS}, during_the_signal=lambda: app.consumer.on_generation(2))._resume_streams(1)
        return trail

    assert asyncio.run(scenario()) == ["signal", "taken over"]


def test_the_next_rebalance_cuts_the_wait_for_a_seek_short(faust_app):
    async def scenario():
        app = faust_app()
        recovery = app.tables.recovery
        recovery.signal_recovery_start.set()
        with pytest.raises(RebalanceAgain):
            await recovery._wait(asyncio.sleep(5.0), timeout=5.0)

    asyncio.run(scenario())


def test_a_seek_that_takes_too_long_ends_the_recovery_and_says_nothing(faust_app):
    """Why `perform_seek` must only seek: what is raised here ends the task, and the worker stands."""

    async def scenario():
        app = faust_app()
        with pytest.raises(ServiceStopped):
            await app.tables.recovery._wait(asyncio.sleep(5.0), timeout=0.01)

    asyncio.run(scenario())


def test_a_revocation_stops_the_flow_only_as_long_as_something_is_assigned(faust_app):
    """So the consumer's thread keeps what it owned until Faust has finished."""

    async def scenario(owned: set[TP]):
        app = faust_app()
        found = app.consumer
        app._producer = type("Producer", (), {"flush": staticmethod(nothing)})()
        found._thread.owned = frozenset(owned)
        found._set_active_tps({CLICKS})
        app.on_rebalance_start()
        await found.on_partitions_revoked({CLICKS})
        return found.flow_active, app.rebalancing

    assert asyncio.run(scenario({CLICKS})) == (False, True)
    assert asyncio.run(scenario(set())) == (True, True)


# What an agent gets -----------------------------------------------------------------------------------------------------------


def test_an_agent_is_handed_the_run_itself(faust_app):
    run = run_of(CLICKS, range(3))

    async def scenario():
        app = faust_app()
        message = app.consumer._to_message(CLICKS, run)
        return await app.topic("clicks", schema=RunSchema(), acks=False).decode(message, propagate=True)

    event = asyncio.run(scenario())
    assert event.value is run
    assert event.key is None


def test_the_scheduling_of_faust_looks_into_runs_and_ours_does_not():
    runs = {CLICKS: run_of(CLICKS, range(2))}

    assert list(DefaultSchedulingStrategy().iterate(runs)) == [(CLICKS, message) for message in runs[CLICKS]]
    assert list(RunScheduling().iterate(runs)) == [(CLICKS, runs[CLICKS])]


# The app ----------------------------------------------------------------------------------------------------------------------


def test_a_transport_is_made_of_these_and_makes_our_consumer(faust_app):
    assert {"Consumer", "Producer", "Conductor", "Fetcher", "TransactionManager"} <= vars(base.Transport).keys()
    assert base.Transport.Conductor is Conductor

    async def scenario():
        app = faust_app()
        return app.transport, app.consumer, app.producer

    transport, made, writing = asyncio.run(scenario())
    assert isinstance(transport, Transport)
    assert isinstance(made, RunConsumer)
    assert type(writing) is producer.Producer  # which connects to nothing, and so cannot send
    with pytest.raises(NotImplementedError):
        asyncio.run(writing.send("clicks", None, b"v", None, None, None))


def test_every_setting_is_known_and_taken(faust_app):
    async def scenario():
        return faust_app().conf

    conf = asyncio.run(scenario())
    asked = faust_settings() | {"store": "memory:"}  # as Faust writes it
    del asked["datadir"]
    assert {name: str(getattr(conf, name)) for name in asked} == {name: str(value) for name, value in asked.items()}


def test_a_crash_of_faust_is_told(faust_app):
    """No broker is there; a worker starts all the same."""
    told: list[BaseException] = []

    async def scenario():
        app = faust_app()
        app.agent(app.topic("clicks", schema=RunSchema(), acks=False))(lambda stream: stream)
        heard = asyncio.Event()

        def hear(error: BaseException) -> None:
            told.append(error)
            heard.set()

        async with running(app, on_crash=hear), asyncio.timeout(20.0):
            await asyncio.sleep(0.2)
            await app.crash(RuntimeError("broken"))
            await heard.wait()

    asyncio.run(scenario())
    assert [str(error) for error in told] == ["broken"]


@pytest.mark.parametrize("name", ["group.id", "auto.offset.reset", "statistics.interval.ms"])
def test_settings_recovery_depends_on_are_refused(name):
    with pytest.raises(ValueError, match=name):
        Transport(faust.App("contract", **faust_settings()), "127.0.0.1:1", dict, {name: "1"}, None)
