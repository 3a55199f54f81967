"""The smallest shell there is around a consumer: for tests of the transport."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import faust
from faust.types import TP

from agents.consumer_thread import Limits
from agents.faust_app import faust_settings, running
from agents.runs import Run, RunSchema
from agents.transport import RunConsumer, build_transport
from tests.brokers import BrokerInTest

PATIENCE_S = 40.0


class Reader:
    """Takes partitions over, takes runs that join its positions, asks again for what is missing, and checks what runs say."""

    def __init__(
        self,
        broker: BrokerInTest,
        topics: Iterable[str],
        *,
        begin: Mapping[TP, int] | None = None,
        loses_every: int = 0,
        take_over_s: float = 0.0,
        limits: Limits | None = None,
        **settings: Any,
    ) -> None:
        self.group = f"{broker.prefix}.group"
        self.begin = dict(begin or {})
        """Last offset applied at a take-over, as a manifest would say; where it says nothing, memory, or the beginning."""
        self.positions: dict[TP, int] = {}
        self.offsets: dict[TP, list[int]] = defaultdict(list)
        """What was applied, in this order."""
        self.first_afters: list[dict[TP, int]] = []
        """By take-over: what the first run of each partition says it follows."""
        self.seen_before_the_seek: list[bool] = []
        self.wanted: Callable[[Run], bool] = lambda _run: True
        self.failures: list[BaseException] = []
        self.n_runs = self.n_lost = self.n_holes = 0
        self.loses_every, self._take_over_s = loses_every, take_over_s
        self._seeking: set[asyncio.Task[None]] = set()
        own = {"broker_session_timeout": 6.0, "broker_heartbeat_interval": 0.5}
        self.app = faust.App(self.group, **(faust_settings() | own | settings))
        build_transport(self.app, broker.bootstrap, lambda: self.positions, {}, limits=limits)
        for topic in topics:
            channel = self.app.topic(topic, schema=RunSchema(), acks=False)
            self.app.agent(channel, name=f"hand-over-{topic}")(self._hand_over)
        self.app.on_rebalance_complete.connect(self._take_over, weak=False)

    @property
    def consumer(self) -> RunConsumer:
        return self.app.consumer

    async def _take_over(self, *_args: Any, **_options: Any) -> None:
        await asyncio.sleep(self._take_over_s)
        self.positions = {tp: self.begin.get(tp, self.positions.get(tp, -1)) for tp in self.consumer.assignment()}
        self.seen_before_the_seek += [self.consumer.caught_up(tp, at) for tp, at in self.positions.items()]
        self.first_afters.append({})

    async def _hand_over(self, stream: Any) -> None:
        async for run in stream:
            try:
                self._take(run)
            except AssertionError as error:
                self.failures.append(error)

    def _take(self, run: Run) -> None:
        tp, position = run.tp, self.positions.get(run.tp)
        # The topics here have no gaps: so a run holds exactly what it says, or it lies.
        assert run.offsets() == list(range(run.after + 1, run.last + 1)), f"{tp}: not all of ({run.after}, {run.last}]"
        assert run.size == sum(map(len, run.values()))
        self.first_afters[-1].setdefault(tp, run.after)
        self.n_runs += 1
        if self.loses_every and self.n_runs % self.loses_every == 0:
            self.n_lost += 1
        elif not self.wanted(run) or position is None or run.last <= position:
            pass
        elif run.after <= position:
            self.offsets[tp] += [offset for offset in run.offsets() if offset > position]
            self.positions[tp] = run.last
        elif run.seeks == self.consumer.seeks:
            self.n_holes += 1
            seek = asyncio.create_task(self.consumer.perform_seek([tp]))
            self._seeking.add(seek)
            seek.add_done_callback(self._seeking.discard)

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait until something is so; fail if it is not so in time, or when something broke."""
        until = time.monotonic() + PATIENCE_S
        while not is_so():
            assert not self.failures, self.failures
            assert time.monotonic() < until, f"in vain: {what}; positions {self.positions}"
            await asyncio.sleep(0.02)
        assert not self.failures, self.failures

    async def reads_to(self, ends: Mapping[TP, int]) -> None:
        await self.until(lambda: {tp: at + 1 for tp, at in self.positions.items()} == dict(ends), f"read to {dict(ends)}")

    async def commands_are_done(self) -> None:
        """Wait until the consumer's thread has done what it was told before."""
        await self.consumer._in_thread(lambda: None)


@asynccontextmanager
async def reading(reader: Reader) -> AsyncIterator[Reader]:
    async with running(reader.app, on_crash=reader.failures.append):
        yield reader
    assert not reader.failures, reader.failures


def filled(broker: BrokerInTest, name: str, sizes: Iterable[int], value: bytes = b"v" * 20) -> tuple[str, dict[TP, int]]:
    """Make a topic with so many records in each partition; return its name and where its logs end."""
    sizes = list(sizes)
    topic = broker.create_topics(name, len(sizes))
    for partition, size in enumerate(sizes):
        broker.produce(topic, partition, [value] * size)
    return topic, {TP(topic, partition): size for partition, size in enumerate(sizes)}
