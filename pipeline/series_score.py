"""How unusual each value of a series is, by nothing but what came before it.

A value is held against what the baseline expects, and the distance against distances so far; four in a row that are off the same way may be unusual
only together. Counts are judged by their square roots: the noise of a count grows with it, that of its root does not. What has only been whole
numbers from 0 on is taken for counts; once it is not, what was learned is told in the new unit.

Time:    seconds since 1970, UTC, each later than the one before
Cases:   no past -> 0 | no value -> as unusual as gaps have been so far | a row that comes late -> the same, or by its value, if that is more
         a level that moved -> unusual when it moves, then usual | infinite -> 1, and nothing is learned of it
Raises:  ValueError if time does not go on
Source:  DECISIONS.md 2026-11-26, A series is judged by the best of several guesses
"""

import math
from collections import deque
from collections.abc import Iterable
from statistics import NormalDist

from pipeline.daily_jobs import DailyJobs
from pipeline.running_scale import CLIPPED, MEMORY, ROUNDING, SIGMA, RunningScale
from pipeline.seasonal_baseline import SLOT_S, TRIED, Level, SeasonalBaseline

HALF_AT = 3.2905
"""Standard deviations at which the score is 0.5: normal noise goes beyond once in 1,000 values."""
LATE = 1.5
"""Usual steps between rows after which a row is late."""
STEPS = 25
"""Steps whose median is the usual one."""
TOGETHER = 4
"""Values in a row that are judged together."""
ROOT = 0.375
"""Added to a count before its root is taken (Anscombe 1948)."""
OFTEN = 20
"""A series that changes with every so many rows is no flat line, and its smallest change is taken for the step it is rounded to."""
FEW = 30
"""Counts up to which the tail of a Poisson distribution is longer than that of a normal one."""
NOISY = 0.35
"""Standard deviation of roots above which counts are taken for those of chance, which have 0.5."""
MOST = 1e150
"""Beyond it squares are no numbers any more: taken for infinite."""


class SeriesScorer:
    """Scores one series, row by row."""

    def __init__(self) -> None:
        """With no past."""
        self.gaps = _Gaps()
        self.baseline = SeasonalBaseline()
        self.jobs = DailyJobs()
        self.alone = RunningScale()
        self.together = RunningScale()
        self.distances: deque[float] = deque([0.0] * TOGETHER, TOGETHER)
        self.is_count = True
        self.values: deque[float] = deque(maxlen=TOGETHER)
        self.rates: deque[float] = deque(maxlen=TOGETHER)
        self.rate = 0.0
        """Mean count of late, outliers cut."""
        self.n = 0
        self.n_changes = 0
        self.last = math.nan
        self.least = math.inf
        """The smallest change from one value to the next, above 0."""

    def score(self, at_s: float, value: float | None) -> float:
        """How unusual the value at this time is, from 0 to 1; and learn it. None and NaN: there is no value. Raises: ValueError."""
        is_gap = value is None or math.isnan(value)
        gap, span_s = self.gaps.surprise(at_s, is_gap=is_gap)
        if value is None or is_gap:
            return _told(gap)
        if abs(value) > MOST:
            return 1.0
        if self.is_count and (value < 0 or value != math.floor(value)):
            self._no_count()
        return _told(max(gap, self._surprise(at_s, value, span_s)))

    def _surprise(self, at_s: float, value: float, span_s: float) -> float:
        """In standard deviations, if the series were normal."""
        self._changed(value)
        seen = math.sqrt(value + ROOT) if self.is_count else value
        expected = self.baseline.expected(at_s)
        if expected is None:
            self.baseline.learn(at_s, seen, span_s, -math.inf, math.inf)
            return 0.0
        if not self.alone.n:
            self.alone.begin(TRIED, self.baseline.error())
            self.together.begin(TRIED, self.baseline.error())
        floor = self._floor(expected)
        scale = self.alone.scale(floor)
        job, steady = 0.0, self.baseline.steady()
        if steady is not None and span_s < SLOT_S:  # longer steps have slots of their own
            job = self.jobs.expected(at_s, max(scale, SIGMA * steady.error))
            self.jobs.learn(at_s, seen - (steady.value or 0.0))
        distance = seen - job - expected
        self.distances.append(distance)
        run = sum(self.distances) / math.sqrt(TOGETHER)
        alone = self.alone.surprise(distance, floor)
        together = self.together.surprise(run, floor) if alone > 1 and run * distance > 0 else 0.0
        if self.is_count:
            self.values.append(value)
            self.rates.append(max(self.rate, _count(expected + job)))
            if distance > 0 and max(alone, together) > 2 and self._is_poisson():
                alone = min(alone, poisson_surprise(value, self.rates[-1]))
                together = min(together, poisson_surprise(sum(self.values), sum(self.rates)))
        z = 0.0 if self._is_flat() and seen == self.baseline.recent() else max(alone, together)
        most = CLIPPED * scale
        self.baseline.learn(at_s, seen - job, span_s, expected - most, expected + most)
        self.alone.learn(distance, floor)
        self.together.learn(run, floor)
        if self.is_count:
            self.rate += max(1 / self.alone.n, 1 / MEMORY) * (min(value, _count(expected + most)) - self.rate)
        return z

    def _changed(self, value: float) -> None:
        change = abs(value - self.last)
        self.n += 1
        self.n_changes += change > 0
        if 0 < change < self.least:
            self.least = change
        self.last = value

    def _floor(self, expected: float) -> float:
        """The distance that rounding alone makes, where values move at all."""
        often = min(1.0, OFTEN * self.n_changes / self.n)
        least = 0.0 if math.isinf(self.least) else self.least
        step = 0.5 / math.sqrt(max(expected * expected, ROOT)) if self.is_count else least
        return max(often * ROUNDING * step, 1e-12 * abs(expected))

    def _is_flat(self) -> bool:
        """What a line that hardly moves is most of the time is never unusual."""
        return self.n_changes * OFTEN < self.n

    def _is_poisson(self) -> bool:
        """Whether counts are as noisy as those of chance: the number of machines that are up is less so."""
        return not self._is_flat() and (self.rate < 1 or self.alone.mean * SIGMA > NOISY)

    def _no_count(self) -> None:
        """Tell what was learned in values, not in roots."""
        self.is_count = False
        slope = 2 * (self.baseline.recent() or math.sqrt(ROOT))
        self.baseline.turn(lambda seen: seen * seen - ROOT, slope)
        self.jobs.turn(slope)
        self.alone.turn(slope)
        self.together.turn(slope)
        self.distances = deque((distance * slope for distance in self.distances), TOGETHER)


class _Gaps:
    """Rows without a value, and rows that come late."""

    def __init__(self) -> None:
        self.at_s: float | None = None
        self.steps = Level(STEPS)
        self.n = 0
        self.n_begun = 0
        self.in_gap = False

    def surprise(self, at_s: float, *, is_gap: bool) -> tuple[float, float]:
        """How unusual the gap at this row is, 0: there is none; and the seconds since the row before."""
        span_s = 0.0 if self.at_s is None else at_s - self.at_s
        if not math.isfinite(at_s) or (self.at_s is not None and not span_s > 0):
            message = f"time {at_s} is not after {self.at_s}"
            raise ValueError(message)
        usual = self.steps.median()
        is_gap = is_gap or (usual is not None and span_s > LATE * usual)
        if self.at_s is not None:
            self.steps.push(span_s)
        self.at_s = at_s
        share = (self.n_begun + 0.5) / (self.n + 1)
        self.n += 1
        self.n_begun += is_gap and not self.in_gap
        self.in_gap = is_gap
        return (-NormalDist().inv_cdf(min(share, 1.0) / 2) if is_gap else 0.0), span_s


def scores(rows: Iterable[tuple[float, float | None]]) -> list[float]:
    """Of each time and value, in order. Raises: ValueError if time does not go on."""
    scorer = SeriesScorer()
    return [scorer.score(at_s, value) for at_s, value in rows]


def poisson_surprise(count: float, rate: float) -> float:
    """How unusual it is to count so many or more, in standard deviations. Infinite: another measure has to say."""
    if rate <= 0 or rate > FEW:
        return math.inf
    term, below = math.exp(-rate), 0.0
    for n in range(int(min(count, rate + 3 * FEW))):
        below += term
        term *= rate / (n + 1)
    above = 1 - below
    return math.inf if above < 1e-12 else -NormalDist().inv_cdf(above / 2)


def _count(root: float) -> float:
    return max(max(root, 0.0) ** 2 - ROOT, 0.0)


def _told(z: float) -> float:
    return 1.0 if z > MOST else z * z / (z * z + HALF_AT * HALF_AT)
