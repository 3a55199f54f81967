"""The clock that stamps rows: a hybrid of the wall clock and of what has been stamped already.

A row of a higher version replaces a row of a lower one, in ClickHouse and in every receiver. So versions must rise along what
one partition says, whatever the wall clock does and whoever holds the partition.
"""

import time
from collections.abc import Callable

HEAD_START_US = 60_000_000
"""How far above everything stamped before a new assignment starts: a crash left behind rows that no manifest knows of, and
the next machine's wall clock may be slow. What is recomputed must outlive them."""


def wall_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


class VersionClock:
    """Versions of the rows of one partition, in microseconds since 1970 or ahead of it."""

    def __init__(self, highest: int = 0, *, wall: Callable[[], int] = wall_us) -> None:
        """Go on above `highest`, the highest version that has been stamped or received."""
        self.highest = highest
        self._wall = wall

    def stamp(self) -> int:
        """Return a version above all before it; never behind the wall clock."""
        self.highest = max(self._wall(), self.highest + 1)
        return self.highest

    def receive(self, version: int) -> None:
        """Stamp above this one from now on: what we say may rest on it."""
        self.highest = max(self.highest, version)

    def start_assignment(self) -> None:
        """Leave room for what a crash or another owner stamped after the last manifest."""
        self.highest += HEAD_START_US if self.highest else 0
