"""Where an agent leaves runs for its stage.

The hand-over never waits: all streams of an app share one delivery loop, and a stage that blocks there would stop every other.
Memory is bounded all the same: above a limit those partitions are held on the consumer of which more than their share waits, below half of it released.
What was fetched ahead of a held partition is thrown away, so to hold all would starve those that come last, again and again.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Collection

from faust.types import TP

from agents.runs import Run

RECORD_BYTES = 300
"""What a record costs beside its value: the client's message and Python's object for it."""


class Inbox:
    """Runs in the order of arrival, counted in bytes. Used in the event loop only."""

    def __init__(
        self,
        limit: int,
        *,
        n_partitions: Callable[[], int],
        hold: Callable[[Collection[TP]], None],
        release: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the limit in bytes (at most twice as many wait), how many partitions share it, and how to stop and restart the fetch."""
        self._limit, self._n_partitions, self._hold, self._release = limit, n_partitions, hold, release
        self._clock = clock
        self._runs: deque[tuple[float, Run]] = deque()  # each with the time at which it came
        self._waiting: dict[TP, int] = {}  # partition -> bytes of it
        self._held: set[TP] = set()
        self._stirred = asyncio.Event()
        self.size = 0
        """Bytes waiting."""
        self.events = 0
        """Records waiting."""

    @property
    def is_held(self) -> bool:
        """Whether any of the stage's partitions is held."""
        return bool(self._held)

    @property
    def since(self) -> float:
        """When the run came that has waited longest; now, if none waits."""
        return self._runs[0][0] if self._runs else self._clock()

    def put(self, run: Run) -> None:
        """Leave a run; never waits, never refuses."""
        self._runs.append((self._clock(), run))
        self.events += len(run)
        self._count(run.tp, cost(run))
        if self.size > self._limit:
            share = self._limit / max(self._n_partitions(), len(self._waiting))
            full = {tp for tp, size in self._waiting.items() if size > share} - self._held
            if full:
                self._held |= full
                self._hold(full)
        self.stir()

    def next(self, max_events: int, max_bytes: float = float("inf")) -> list[Run]:
        """Say what `take` would return."""
        found: list[Run] = []
        events = size = 0
        for _, run in self._runs:
            if events >= max_events or size >= max_bytes:
                break
            found.append(run)
            events += len(run)
            size += cost(run)
        return found

    def take(self, max_events: int, max_bytes: float = float("inf")) -> list[Run]:
        """Take runs until one of both is reached; the run that reaches it is taken whole."""
        taken = self.next(max_events, max_bytes)
        for run in taken:
            self._runs.popleft()
            self.events -= len(run)
            self._count(run.tp, -cost(run))
        if self.is_held and self.size < self._limit / 2:
            self._held.clear()
            self._release()
        return taken

    def _count(self, tp: TP, size: int) -> None:
        self.size += size
        self._waiting[tp] = self._waiting.get(tp, 0) + size
        if not self._waiting[tp]:
            del self._waiting[tp]

    def clear(self) -> None:
        """Throw away everything, and end the hold: one of what came late may have met the new assignment."""
        self._runs.clear()
        self._waiting.clear()
        self.size = self.events = 0
        if self.is_held:
            self._held.clear()
            self._release()

    def partitions(self) -> Collection[TP]:
        """Of which partitions something waits."""
        return set(self._waiting)

    def stir(self) -> None:
        """Wake who waits in `stirred`."""
        self._stirred.set()

    async def stirred(self, timeout_s: float | None) -> None:
        """Sleep until something came since this was called last, or so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._stirred.wait()
        self._stirred.clear()


def cost(run: Run) -> int:
    """Bytes of memory that a run takes, about."""
    return run.size + RECORD_BYTES * len(run)
