"""How long nothing has come, so that silence is noticed when no event says so.

A partition that is caught up and quiet lets its watermark advance by the time elapsed since its last arrival, or since the last
advance: monotonic time, times the speed of a simulation; never a jump to the wall clock. Downtime counts: a checkpoint keeps the
wall clock of its watermark. But not that of a simulation, whose time stands still when nobody runs it.

Cases:   a backlog -> not quiet, however long it takes to arrive
         a worker that was frozen -> its knowledge of where the logs end is old; it waits until that has been heard anew
"""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from agents.log_ends import TRUSTED_S


class QuietTime:
    """Per partition: since when its watermark stands."""

    def __init__(
        self,
        *,
        speed: float = 1.0,
        downtime_counts: bool = True,
        longest_gap_s: float = TRUSTED_S,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Take the speed of time, whether it goes on while nobody runs, the gap between ticks after which we may have been frozen, and both clocks (s)."""
        self._downtime_counts = downtime_counts
        self._speed, self._longest_gap_s = speed, longest_gap_s
        self._monotonic, self._wall = monotonic, wall
        self._since: dict[int, float] = {}
        self._ticked = monotonic()
        self._doubtful_until = self._ticked

    def begin(self, partition: int, since_ms: int | None) -> None:
        """Take a partition whose watermark stands since then by the wall clock; None: since now."""
        now = self._monotonic()
        self._since[partition] = (
            now if since_ms is None or not self._downtime_counts else now - max(0.0, self._wall() - since_ms / 1_000)
        )

    def end(self, partition: int) -> None:
        """Forget a partition."""
        self._since.pop(partition, None)

    def arrived(self, partition: int) -> None:
        """Note that something came: its own time counts now."""
        self._since[partition] = self._monotonic()

    def tick(self) -> None:
        """Note that we are alive; to be called often."""
        now = self._monotonic()
        if now - self._ticked > self._longest_gap_s:
            # We may have been frozen, and what we hold as "caught up" may be of before. After this long it has been heard anew.
            self._doubtful_until = now + TRUSTED_S
        self._ticked = now

    def elapsed(self, is_caught_up: Callable[[int], bool]) -> Mapping[int, timedelta]:
        """Event time elapsed in each partition that is caught up, since this was asked last or something came."""
        self.tick()
        now = self._ticked  # taken before the question: a freeze in between does not count as silence
        if now < self._doubtful_until:
            return {}
        quiet = {partition for partition in self._since if is_caught_up(partition)}
        passed = {partition: timedelta(seconds=max(0.0, now - self._since[partition]) * self._speed) for partition in quiet}
        self._since |= dict.fromkeys(quiet, now)
        return passed

    def since_ms(self, partition: int) -> int:
        """By the wall clock: since when the watermark stands."""
        return round((self._wall() - (self._monotonic() - self._since[partition])) * 1_000)
