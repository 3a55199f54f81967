"""The one loop around a stage: what has arrived -> what comes next -> a step -> now and then a checkpoint.

Order, always: emit -> flush -> pieces -> manifest -> group offsets, which are for monitoring only. Faust delivers and never keeps
books: whatever it drops, repeats or delays, only what joins the position is taken, and what is missing is sought again.

The work runs in the stage's own thread, so that the event loop goes on handing runs to the other stages. A take-over and a step
never overlap.

**Delivery:** every record exactly once in the state; what is said after the last checkpoint may be said again.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from faust.types import TP

from agents.checkpoints import Checkpoint, Checkpoints, Reading, Writing
from agents.group import Group
from agents.inbox import Inbox
from agents.joining import joined
from agents.logs import about
from agents.manifests import Manifest
from agents.measures import Measures
from agents.runs import Run
from agents.stage_thread import StageThread
from agents.stages import ShellSettings, Work
from agents.takeover import Input, TakeOver

log = logging.getLogger(__name__)

T = TypeVar("T")

IDLE_STEP_S = 1.0
"""How often time alone is a reason for a step."""
IDLE_SHARE = 100
"""A step for time alone is made so many times its own duration after the last at the earliest: 1% of the time."""
CHECKPOINT_SHARE = 10
"""The same for a checkpoint. One that is dear by itself does not count: it has waited for a broker that was away."""
LOST_S = 2.0
"""What was fetched and has not arrived after so long got lost on the way."""
LOOK_S = 5.0
"""How often a stage with nothing to do looks whether something got lost."""
ROOM_S = 0.25
"""How often a stage that has no room looks whether it has some again."""
BACKLOG_LINGER_S = 8.0
"""How long a step waits for more while a stage before it has a backlog: who is met in one step, and not in four, is looked at once (DECISIONS.md)."""


class Closing(Writing, Protocol):
    """The stage's producer (agents.producer.Producer)."""

    def close(self) -> None:
        """Let go of whoever waits for the broker."""


class Shell:
    """One stage, running. Made outside of the event loop, used inside."""

    def __init__(
        self,
        name: str,
        inputs: Input,
        work: Work,
        *,
        group: Group,
        checkpoints: Checkpoints,
        producer: Closing,
        reader: Reading,
        settings: ShellSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the stage's parts; nothing is read before the first `take_over`."""
        self.name, self.topic, self.work = name, inputs.topic, work
        self._inputs, self._group, self._checkpoints = inputs, group, checkpoints
        self._producer, self._settings, self._clock = producer, settings, clock
        self._take_over = TakeOver(inputs, work, checkpoints, producer, reader)
        self.inbox = Inbox(
            settings.inbox_bytes,
            n_partitions=lambda: len(self._ours()),
            hold=self._group.hold,
            release=self._release,
            clock=clock,
        )
        self.ticked_at = clock()
        """When the loop last turned: for a health check, which must not trust heartbeats."""
        self.checkpoint_cost_s = 0.0
        """How long the last checkpoint took."""
        self.measures = Measures()
        """What the loop has measured, for whoever watches."""
        self.before: tuple[Shell, ...] = ()
        """The stages of this worker that pass on what it reads."""
        self._thread, self._second_thread = StageThread(f"stage-{name}"), StageThread(f"ahead-{name}")
        self._lock = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._in_step = 0  # records of the step at work
        self._positions: dict[TP, int] = {}
        self._manifests: dict[int, Manifest] = {}
        self._sought: dict[TP, int] = {}
        self._behind: dict[TP, tuple[int, float]] = {}
        self._checkpoint_at = self._step_at = self._look_at = clock()

    # For Faust and whoever watches ------------------------------------------------------------------------------------------

    def positions(self) -> Mapping[TP, int]:
        """Last offset taken of every partition that has been taken over; none during a take-over."""
        return self._positions

    def pause(self) -> None:
        """Have no position any more: what is ours is being decided anew."""
        self._positions = {}

    @property
    def is_idle(self) -> bool:
        """Whether everything there is has been taken, and everything taken has been kept."""
        caught_up = all(self._group.caught_up(tp, position) for tp, position in self._positions.items())
        return bool(self._positions) and caught_up and not self.work.holds_news and not self.inbox.events

    @property
    def is_behind(self) -> bool:
        """Whether it has a backlog: a full step is at work, or waits."""
        return self._in_step + self.inbox.events >= self._settings.max_batch_events

    def stir(self) -> None:
        """Wake the loop, for there is room again. From any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the process is ending
                self._loop.call_soon_threadsafe(self.inbox.stir)

    def keep_soon(self) -> None:
        """Keep what is new now, and not when it is due: somebody waits for it. In the loop's thread."""
        self._checkpoint_at = min(self._checkpoint_at, self._clock())
        self.inbox.stir()

    def close(self) -> None:
        """Let go of whoever waits for the broker. What was not kept is done again by whoever comes next."""
        self._producer.close()
        self._thread.close()
        self._second_thread.close()

    # Taking over ------------------------------------------------------------------------------------------------------------

    async def take_over(self) -> None:
        """Take over what the group says is ours, and give up the rest. A newer assignment makes it stop half-way.

        Raises: PositionRefused - the input does not hold what follows a position
        """
        generation = self._group.generation
        self._positions = {}
        async with self._lock:
            self.inbox.clear()
            mine = {tp.partition for tp in self._group.assignment() if tp.topic == self.topic}
            for partition in set(self.work.positions()) - mine:
                await self._give_up(partition)
            if await self._take(sorted(mine), generation):
                self._publish()

    async def _take(self, partitions: Collection[int], generation: int) -> bool:
        """Take these over, one after the other; False if the assignment changed meanwhile."""
        for partition in partitions:

            def still_ours(tp: TP = TP(self.topic, partition)) -> bool:  # noqa: B008 - bound to this turn of the loop
                return self._group.generation == generation and tp in self._group.assignment()

            manifest = await self._thread.do(self._take_over.take, partition, still_ours)
            if manifest is None:
                return False
            self._manifests[partition] = manifest
        return self._group.generation == generation

    def _publish(self) -> None:
        self._positions = {TP(self.topic, partition): position for partition, position in self.work.positions().items()}
        self._sought = dict.fromkeys(self._positions, self._group.seeks)
        self._behind = {}
        self.ticked_at = self._clock()  # however long that took: it was no standstill

    async def _give_up(self, partition: int) -> None:
        await self._thread.do(self.work.give_up, partition)
        self._manifests.pop(partition, None)
        self._positions = {tp: position for tp, position in self._positions.items() if tp.partition != partition}

    # The loop ---------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Turn for ever. Idle it sleeps: in `inbox.stirred`."""
        self._loop = asyncio.get_running_loop()
        while True:
            runs = await self._arrived()
            self._in_step = sum(map(len, runs))
            async with self._lock:
                await self._tick(runs)
                self._in_step = 0
                if self.work.dirty and self._clock() >= self._checkpoint_at:
                    await self._checkpoint()

    async def _arrived(self) -> list[Run]:
        """Wait for runs, or until something else is due."""
        if not (self.inbox.events and self.work.has_room):
            await self.inbox.stirred(self._patience_s())
        if not (self.inbox.events and self.work.has_room):
            return []
        enough = self._settings.max_batch_events
        while 0 < self.inbox.events < enough and not self.inbox.is_held and (left := self._linger_s()) > 0:
            await self.inbox.stirred(left)
        return self.inbox.take(self._settings.max_batch_events, self._settings.max_batch_bytes)

    def _linger_s(self) -> float:
        """How long to wait for more yet, until it is asked again."""
        waited_s = self._clock() - self.inbox.since
        if waited_s < BACKLOG_LINGER_S and any(each.is_behind for each in self.before):
            return self._settings.linger_s
        return self._settings.linger_s - waited_s

    def _patience_s(self) -> float:
        now = self._clock()
        due = [now + (IDLE_STEP_S if self.work.time_matters else LOOK_S)]
        if self.work.dirty:
            due.append(self._checkpoint_at)
        if self.inbox.events:  # it has no room, and may have some before it says so
            due.append(now + ROOM_S)
        return max(0.0, min(due) - now)

    async def _tick(self, runs: list[Run]) -> None:
        self.ticked_at = now = self._clock()
        found = joined(runs, self._positions, self._sought)
        if found.runs or (self.work.time_matters and now >= self._step_at):
            await self._step(found.runs)
        holes = found.holes | await self._lost(now)
        if holes:
            log.info(
                "%s: records of %s got lost on the way, and are fetched again",
                self.name,
                sorted(holes),
                extra=about(stage=self.name),
            )
            await self._seek(holes)

    async def _step(self, runs: list[Run]) -> None:
        quiet = self.work.quiet_time(lambda partition: self._is_caught_up(TP(self.topic, partition)))
        if not (runs or quiet):
            self._step_at = self._clock() + IDLE_STEP_S
            return
        begun = self._clock()
        if runs:
            await self._second_thread.do(self.work.prepare, runs)
        await self._beside(self._thread.do(self.work.step, runs, quiet))
        ended = self._clock()
        self.measures.stepped(sum(map(len, runs)), ended - begun)
        if not runs:
            self._step_at = ended + max(IDLE_STEP_S, IDLE_SHARE * (ended - begun))
        # Only of partitions that are still published: a take-over may be waiting for us.
        reached = self.work.positions()
        self._positions = {tp: reached.get(tp.partition, position) for tp, position in self._positions.items()}

    async def _beside(self, work: Coroutine[Any, Any, T]) -> T:
        """Do this, and get ready for what comes next as it arrives."""
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self.inbox.stir())
        await asyncio.gather(task, self._prepare(task))
        return task.result()

    async def _prepare(self, other: asyncio.Task[Any]) -> None:
        ready = 0
        while not other.done():
            following = self.inbox.next(self._settings.max_batch_events, self._settings.max_batch_bytes)
            if len(following) > ready:
                ready = len(following)
                await self._second_thread.do(self.work.prepare, following)
            else:
                await self.inbox.stirred(None)

    def _is_caught_up(self, tp: TP) -> bool:
        position = self._positions.get(tp)
        return position is not None and self._group.caught_up(tp, position)

    # What got lost ----------------------------------------------------------------------------------------------------------

    async def _lost(self, now: float) -> frozenset[TP]:
        """Partitions of which something was fetched and never came, with nothing behind it that would show the hole."""
        if now < self._look_at or self._group.is_rebalancing:
            return frozenset()
        self._look_at = now + LOST_S / 2
        waiting = self.inbox.partitions()
        behind = {}
        for tp, position in self._positions.items():
            fetched = await self._group.fetched(tp)
            if fetched is None or fetched <= position + 1 or tp in waiting:
                continue
            known = self._behind.get(tp)
            behind[tp] = known if known and known[0] == position else (position, now)
        self._behind = behind
        return frozenset(tp for tp, (_, since) in behind.items() if now - since >= LOST_S)

    async def _seek(self, tps: Collection[TP]) -> None:
        self._behind = {}
        await self._group.perform_seek(tps)
        self._sought |= dict.fromkeys(tps, self._group.seeks)

    # Keeping ----------------------------------------------------------------------------------------------------------------

    async def _checkpoint(self) -> None:
        begun = self._clock()
        partitions = sorted(self.work.dirty & self._manifests.keys())
        kept = await self._beside(self._thread.do(self._save, partitions))
        ended = self._clock()
        before, self.checkpoint_cost_s = self.checkpoint_cost_s, ended - begun
        self.measures.kept(ended, self.checkpoint_cost_s)
        dear_s = CHECKPOINT_SHARE * min(before, self.checkpoint_cost_s)
        self._checkpoint_at = ended + max(self._settings.checkpoint_s, dear_s)
        await self._group.commit_positions({TP(self.topic, partition): position for partition, position in kept.items()})
        outclaimed = [partition for partition in partitions if self._checkpoints.foreign_claim(partition) is not None]
        if outclaimed:
            await self._take_over_again(outclaimed)

    def _save(self, partitions: Collection[int]) -> dict[int, int]:
        """Keep these partitions; in the stage's thread. Returns their positions."""
        self._producer.flush()  # what the state has said must be on the broker before it
        written = []
        for partition in partitions:
            standing, pieces = self.work.checkpoint(partition)
            before = self._manifests[partition]
            manifest = Manifest(before.epoch, before.seq + 1, self._inputs.cluster_id, standing, self._inputs.partitions)
            written.append(Checkpoint(partition, manifest, pieces))
        self._checkpoints.save(written)
        for checkpoint in written:
            self._manifests[checkpoint.partition] = checkpoint.manifest
            self.work.saved(checkpoint.partition)
        return {checkpoint.partition: checkpoint.manifest.standing.position for checkpoint in written}

    async def _take_over_again(self, outclaimed: Collection[int]) -> None:
        """Somebody has claimed partitions after us. If the group says they are ours, he was wrong, and outranks us all the same."""
        generation = self._group.generation
        ours = {tp.partition for tp in self._group.assignment() if tp.topic == self.topic}
        mine = [] if self._group.is_rebalancing else [partition for partition in outclaimed if partition in ours]
        for partition in outclaimed:
            await self._give_up(partition)  # what we have said since is ignored: memory is worth nothing
        if mine and await self._take(mine, generation):
            self._publish()
            await self._seek([TP(self.topic, partition) for partition in mine])

    # The inbox --------------------------------------------------------------------------------------------------------------

    def _release(self) -> None:
        self._group.release(self._ours())

    def _ours(self) -> list[TP]:
        return [tp for tp in self._group.assignment() if tp.topic == self.topic]
