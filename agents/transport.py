"""The Faust transport on confluent-kafka: agents, tasks, signals and the worker stay Faust's, the consumer is ours.

An agent is handed *runs* (`agents.runs`): everything that has arrived of one partition in one message, with what it covers.
Positions are given from outside: nothing is fetched between an assignment and `perform_seek()`, which Faust calls after
the signal `on_rebalance_complete`, where the take-over belongs. Faust's own producer connects to nothing: what the shell
writes goes through its own `confluent_kafka.Producer`, so there is one client library and one set of security settings.

Not supported: Faust tables, `exactly_once`, reply topics, `ask()`, leader election, client-only mode.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, ClassVar, NoReturn, TypeVar, cast

import faust
from faust.transport import base
from faust.transport import consumer as faust_consumer
from faust.transport.producer import Producer
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from yarl import URL

from agents.consumer_thread import ConsumerThread, Limits
from agents.runs import Run

T = TypeVar("T")

Positions = Callable[[], Mapping[TP, int]]
"""Says the last offset applied of every partition that is ours; -1 for the beginning of a log."""

CLOSE_TIMEOUT_S = 30.0


class RunConsumer(faust_consumer.Consumer):
    """What Faust asks of a consumer, answered by the thread that owns the client."""

    def __init__(self, transport: "Transport", *args: Any, **kwargs: Any) -> None:
        """Take Faust's callbacks; the transport knows positions and settings."""
        super().__init__(transport, *args, **kwargs)
        self._positions = transport.positions
        self._thread = ConsumerThread(transport.settings(), self, transport.limits)
        self._arrived = asyncio.Event()
        self._topics: frozenset[str] = frozenset()

    async def on_start(self) -> None:
        """Start the thread."""
        await super().on_start()
        self._main_loop = asyncio.get_running_loop()
        self._thread.start()

    async def on_stop(self) -> None:
        """Leave the group and wait for the thread."""
        await super().on_stop()
        self.close()
        await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)

    def close(self) -> None:
        """Ask the thread to end; Faust calls this as well when a rebalance meets a stopping app."""
        self._thread.close()

    # For the shell --------------------------------------------------------------------------------------------------------

    @property
    def seeks(self) -> int:
        """How many seeks have been made: a run of an older count may have been overtaken by a seek."""
        return self._thread.seeks

    @property
    def ends(self) -> Mapping[TP, int]:
        """Offset of the next record of each partition that is being fetched, as last heard from its broker."""
        return {tp: end for tp in self._thread.owned if (end := self._thread.ends[tp]) is not None}

    def heard(self, tp: TP) -> tuple[int, float] | None:
        """Offset of the next record, and how many seconds ago its broker said so; None: not yet. From any thread."""
        return self._thread.ends.heard(tp)

    def caught_up(self, tp: TP, position: int) -> bool:
        """Whether `position`, the last offset applied, is all there is, as the broker said a moment ago.

        Never true of a partition that is paused, not sought yet, or whose broker is silent.
        """
        return self._thread.caught_up(tp, position)

    async def perform_seek(self, only: Collection[TP] | None = None) -> None:
        """Fetch from the positions on: all partitions, or only these.

        Faust calls it after every rebalance and our take-over, before the flow resumes, under a timeout after which the
        worker would hang in silence: so it seeks and does nothing else. The shell calls it when a run is missing.
        """
        following = {tp: at + 1 for tp, at in self._positions().items() if only is None or tp in only}
        await self._in_thread(lambda: self._thread.seek(following))

    async def commit_positions(self, positions: Mapping[TP, int]) -> None:
        """Tell the group the last offsets applied, for monitoring; nobody reads them back. Not done during a rebalance."""
        following = {tp: at + 1 for tp, at in positions.items()}
        if not self.app.rebalancing:
            await self._in_thread(lambda: self._thread.commit(following))

    def hold(self, tps: Collection[TP]) -> None:
        """Stop fetching these partitions until `release`: a stage's inbox is full. Does not wait.

        Cases: not ours -> ignored | held already -> no change | revoked meanwhile -> the hold has ended
        """
        self._thread.tell(lambda: self._thread.hold(tps))

    def release(self, tps: Collection[TP]) -> None:
        """Fetch these partitions again. Does not wait."""
        self._thread.tell(lambda: self._thread.release(tps))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._thread.call(work))

    # For the consumer's thread (consumer_thread.Listener) -----------------------------------------------------------------

    def on_generation(self, generation: int) -> None:
        """Let Faust, and whoever is taking over, see at once that what they hold is outdated."""
        self.app.consumer_generation_id = generation

    def on_arrival(self) -> None:
        """Wake who waits in `_getmany`."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            self._main_loop.call_soon_threadsafe(self._arrived.set)

    def schedule(self, work: Coroutine[Any, Any, None]) -> "Future[None]":
        """Run in the event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._main_loop)

    async def on_assigned(self, assigned: frozenset[TP], generation: int) -> None:
        """Hand an assignment to Faust, which starts its recovery, and in it our take-over."""
        if not self.app.rebalancing:  # the client revokes nothing before the first assignment
            self.app.on_rebalance_start()
        await self.on_partitions_assigned(set(assigned), generation)

    async def on_revoked(self, revoked: frozenset[TP]) -> None:
        """Hand a revocation to Faust, which stops the flow and empties its buffers."""
        self.app.on_rebalance_start()
        await self.on_partitions_revoked(set(revoked))

    # For Faust ------------------------------------------------------------------------------------------------------------

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group."""
        if self._topics != (wanted := frozenset(topics)):
            self._topics = wanted
            await self._in_thread(lambda: self._thread.subscribe(sorted(wanted)))

    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP] | None]:  # noqa: ASYNC109 - Faust's signature
        # When the flow was stopped during the wait, Faust's getmany() would call perform_seek() and so start the fetch of a new
        # assignment before its take-over. So it is not told before the flow goes on. Nothing was taken then.
        while True:
            found = await super()._wait_next_records(timeout)
            if self.flow_active or self.should_stop:
                return found

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        active = active_partitions or ()
        records = self._take(active)
        if not records:
            self._arrived.clear()
            records = self._take(active)  # what came between the two
        if not records:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):  # wait_for of Python 3.11 swallows a cancellation that meets an arrival
                    await self._arrived.wait()
            records = self._take(active)
        return records

    def _take(self, active: Collection[TP]) -> dict[TP, Run]:
        # Between a seek and the flow nobody delivers: what is taken then would be missing.
        return self._thread.arrivals.take(active) if self.flow_active else {}

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        run: Run = record
        # Faust drops what lies below the last offset it read, and sets that mark after the delivery of a run in flight: after a
        # seek back it would swallow the very records asked for. No mark, no drop.
        self._read_offset[tp] = None
        kind, at_ms = run[-1].timestamp()
        return ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=run.last,
            timestamp=at_ms / 1000,
            timestamp_type=kind,
            headers=[],
            key=None,
            value=cast("bytes", run),  # what the agent gets: RunSchema hands it over as it is
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=run.size,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    def assignment(self) -> set[TP]:
        """Say what the group says is ours."""
        return set(self._thread.owned)

    def highwater(self, tp: TP) -> int:
        """Offset of the next record; 0 when it is not known yet."""
        return self._thread.ends[tp] or 0

    async def position(self, tp: TP) -> int | None:
        """Offset of the next record to be fetched."""
        return self._thread.position(tp)

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """First offset on the broker, asked now."""
        asked = await self._in_thread(lambda: self._thread.watermark_offsets(partitions))
        return {tp: first for tp, (first, _) in asked.items()}

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Offset of the next record on the broker, asked now."""
        asked = await self._in_thread(lambda: self._thread.watermark_offsets(partitions))
        return {tp: end for tp, (_, end) in asked.items()}

    async def _seek(self, partition: TP, offset: int) -> None:
        await self.seek_wait({partition: offset})

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Fetch from these offsets on."""
        await self._in_thread(lambda: self._thread.seek(partitions))

    async def seek_to_committed(self) -> NoReturn:
        """Positions are in the manifests; what is committed is for monitoring."""
        raise NotImplementedError

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:  # noqa: ARG002 - Faust's signature
        return True  # acks=False on our topics: Faust has nothing to commit

    def topic_partitions(self, topic: str) -> NoReturn:
        """Only tables ask."""
        raise NotImplementedError(topic)

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:  # noqa: ARG002 - as Faust calls it
        """Leave partitioning to who produces."""
        return partition

    async def create_topic(self, topic: str, *_args: Any, **_options: Any) -> NoReturn:
        """Topics are made by the shell's AdminClient."""
        raise NotImplementedError(topic)

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)


class Transport(base.Transport):
    """Makes the consumer, with the positions it starts from and the settings of its client."""

    Consumer: ClassVar[type[Any]] = RunConsumer
    Producer: ClassVar[type[Any]] = Producer
    default_port = 9092
    driver_version = "confluent-kafka"

    def __init__(self, app: faust.App, bootstrap: str, positions: Positions, extra: Mapping[str, object], limits: Limits) -> None:
        """Check `extra` against what is ours to say."""
        super().__init__([URL(f"kafka://{bootstrap.partition(',')[0]}")], app)
        self.positions, self.limits = positions, limits
        self._bootstrap, self._extra = bootstrap, dict(extra)
        if refused := sorted(RESERVED & self._extra.keys()):
            message = f"{', '.join(refused)}: not a matter of settings, recovery depends on it"
            raise ValueError(message)

    def settings(self) -> dict[str, Any]:
        """Return the settings of librdkafka."""
        conf = self.app.conf
        return {
            "client.id": conf.id,
            "session.timeout.ms": int(conf.broker_session_timeout * 1000),
            "heartbeat.interval.ms": int(conf.broker_heartbeat_interval * 1000),
            "max.poll.interval.ms": 60_000,  # also how long a rebalance waits for a member
            # The default of 1 s halves the rate; and a small queue is faster than a large one (2.3 M/s against 1.6 M/s bare).
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 1_000_000,
            "queued.max.messages.kbytes": 65_536,
            "fetch.message.max.bytes": 4 << 20,
            **self._extra,
            "bootstrap.servers": self._bootstrap,
            "group.id": conf.id,
            "group.protocol": "classic",
            "partition.assignment.strategy": "range",  # a join needs the same partition of two topics on one worker
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,  # offsets at the end may hold no record: the end of a transaction
            "auto.offset.reset": "error",  # we always say where; if that is gone, the log was cut behind us
            "statistics.interval.ms": 1_000,  # from them we hear where logs end
        }


RESERVED = frozenset(
    {
        "bootstrap.servers",
        "group.id",
        "group.protocol",
        "partition.assignment.strategy",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "auto.offset.reset",
        "statistics.interval.ms",
    }
)
"""Settings of librdkafka that `extra` may not touch."""


def build_transport(
    app: faust.App,
    url: str,
    positions: Positions,
    extra: Mapping[str, object],
    *,
    limits: Limits | None = None,
) -> Transport:
    """Make the transport and give it to the app; call it before the first agent is declared.

    `url` is `host:port[,host:port...]`, with or without `kafka://`. `extra` are settings of librdkafka as they are, for security.
    """
    transport = Transport(app, url.removeprefix("kafka://").replace(";", ","), positions, extra, limits or Limits())
    app.transport = transport
    return transport
