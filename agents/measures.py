"""What a stage's loop measures of itself, as plain values: whoever exports them reads them when asked."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

RECORDS = (1, 10, 100, 1_000, 10_000, 50_000, 100_000, 500_000)
SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Histogram:
    """How often a value fell below each bound. One thread observes, any thread reads: nothing is locked."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """Take the upper bounds, ascending; what is above the last is counted as well."""
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        """Of all values."""

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[str, float]]:
        """(upper bound, values at or below it), as Prometheus has it."""
        total, told = 0, []
        for bound, n in zip((*map(str, self.bounds), "+Inf"), tuple(self._counts), strict=True):
            total += n
            told.append((bound, float(total)))
        return told


@dataclass
class Measures:
    """Of one stage, since the process began."""

    batch_records: Histogram = field(default_factory=lambda: Histogram(RECORDS))
    """Records of a step that had any."""
    step_seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    """How long a step took, also one for time alone."""
    checkpoint_seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    """How long a checkpoint took."""
    kept_at: float | None = None
    """When state was last kept, by the loop's clock; None: not yet."""

    def stepped(self, records: int, seconds: float) -> None:
        """Note a step."""
        if records:
            self.batch_records.observe(records)
        self.step_seconds.observe(seconds)

    def kept(self, at: float, seconds: float) -> None:
        """Note a checkpoint that ended then."""
        self.checkpoint_seconds.observe(seconds)
        self.kept_at = at
