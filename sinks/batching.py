"""When to write what has gathered, and how long to wait after a failure. Pure: time is passed in.

Cases:   enough rows or bytes -> due at once | few -> due when the oldest is old enough | nothing -> never due
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Gathered:
    """What of one table waits to be written."""

    rows: int = 0
    size: int = 0
    """Bytes."""
    since: float | None = None
    """When the oldest of it came, s; None: there is nothing."""

    def added(self, rows: int, size: int, now: float) -> "Gathered":
        """With so much more, that came now."""
        return Gathered(self.rows + rows, self.size + size, now if self.since is None else self.since)

    def without(self, taken: "Gathered", since: float | None) -> "Gathered":
        """What is left; the oldest of it came then, or None of it is there."""
        return Gathered(self.rows - taken.rows, self.size - taken.size, since)


@dataclass(frozen=True)
class Batching:
    """How much is written at a time."""

    rows: int = 100_000
    """Rows of a table, at least 1."""
    size: int = 64 << 20
    """Bytes of a table, at least 1."""
    age_s: float = 1.0
    """How long a row waits for others, above 0."""

    def __post_init__(self) -> None:
        """Raises: ValueError if nothing could ever be written."""
        if self.rows < 1 or self.size < 1 or self.age_s <= 0:
            raise ValueError("a batch has at least one row and one byte, and waits for longer than no time")

    def is_full(self, gathered: Gathered) -> bool:
        """Whether it is enough, however young."""
        return gathered.rows >= self.rows or gathered.size >= self.size

    def due_at(self, gathered: Gathered) -> float | None:
        """When to write it, s; that may be over. None: there is nothing to write."""
        if gathered.since is None:
            return None
        return gathered.since if self.is_full(gathered) else gathered.since + self.age_s

    def fits(self, gathered: Gathered, rows: int, size: int) -> bool:
        """Whether so much more may go into the same batch: the first always may."""
        return gathered.since is None or (gathered.rows + rows <= self.rows and gathered.size + size <= self.size)


@dataclass(frozen=True)
class Backoff:
    """How long to wait before the next attempt: twice as long every time, and a random part of it, so that not all come back at once."""

    first_s: float = 0.2
    longest_s: float = 30.0

    def wait_s(self, failures: int, chance: float) -> float:
        """Seconds to wait after so many failures in a row (1, 2, ...); `chance` is in 0..1. Between half of the time and all of it."""
        whole = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return whole * (1.0 + chance) / 2.0
