"""Series with a seed and known anomalies: levels that drift, seasons, bursts, dropouts, shifts, whole numbers, flat lines."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.series_score import scores

MONDAY_S = 1_767_571_200.0
"""2026-01-05T00:00Z."""
AFTER = 3
"""Rows after an anomaly that belong to it: going back is a change as well."""
NOTICED_WITHIN = 10
"""Rows within which a level that moved is to be noticed."""


@dataclass
class Series:
    """Times, values, and the rows of its anomalies, from and up to."""

    kind: str
    at_s: np.ndarray
    values: np.ndarray
    anomalies: list[tuple[int, int]] = field(default_factory=list)

    def rows(self) -> list[tuple[float, float | None]]:
        """As they are scored."""
        return list(zip(self.at_s.tolist(), self.values.tolist(), strict=True))


class Maker:
    """Makes one series."""

    def __init__(self, kind: str, seed: int, n: int, step_s: int) -> None:
        self.rng = np.random.default_rng([seed, *kind.encode()])
        self.series = Series(kind, MONDAY_S + step_s * np.arange(n), np.zeros(n))
        self.n = n
        self.days = step_s * np.arange(n) / 86_400

    def places(self, n: int, longest: int = 1) -> Iterator[int]:
        """Where anomalies begin: in the last three fifths, apart from each other."""
        begin = int(0.4 * self.n)
        room = (self.n - begin) // n
        for number in range(n):
            yield begin + number * room + int(self.rng.integers(room - longest - 40))

    def sign(self) -> int:
        return int(self.rng.choice((-1, 1)))

    def told(self, start: int, rows: int, after: int = AFTER) -> None:
        self.series.anomalies.append((start, min(self.n, start + rows + after)))


def drifting(seed: int) -> Series:
    """A gauge whose level wanders, and spikes of 4 to 8 times its noise."""
    made = Maker("drifting", seed, 3_000, 300)
    values = 50 + np.cumsum(made.rng.normal(0, 0.15, made.n)) + made.rng.normal(0, 1, made.n)
    for start in made.places(6, 3):
        rows = int(made.rng.integers(1, 4))
        values[start : start + rows] += made.sign() * made.rng.uniform(4, 8)
        made.told(start, rows)
    made.series.values = values
    return made.series


def daily(seed: int) -> Series:
    """A gauge with a day of two waves, every second one with a nightly job; values that would be usual at another hour."""
    made = Maker("daily", seed, 288 * 14, 300)
    shape = 20 * np.sin(2 * np.pi * made.days) + 8 * np.sin(4 * np.pi * made.days + 1)
    if seed % 2:
        shape += np.where(np.isin(np.arange(made.n) % 288, (39, 40, 41)), 25, 0)
    values = 100 + shape + made.rng.normal(0, 1.5, made.n)
    for start in made.places(6, 8):
        rows = int(made.rng.integers(2, 9))
        values[start : start + rows] += made.sign() * made.rng.uniform(5, 12)
        made.told(start, rows)
    made.series.values = values
    return made.series


def weekly(seed: int) -> Series:
    """Visits an hour of a shop that is quiet at night and at weekends; hours with three fifths of them, or half as many more."""
    made = Maker("weekly", seed, 24 * 7 * 12, 3_600)
    hour, day = (made.days * 24) % 24, np.floor(made.days) % 7
    rate = 120 * np.exp(np.cos(2 * np.pi * (hour - 15) / 24) - 0.5) * np.where(day >= 5, 0.45, 1.0)
    for start in made.places(6, 5):
        rows = int(made.rng.integers(2, 6))
        rate[start : start + rows] *= made.rng.choice((0.6, 1.5))
        made.told(start, rows)
    made.series.values = made.rng.poisson(rate).astype(float)
    return made.series


def bursts(seed: int) -> Series:
    """Errors a minute, few, and bursts of many."""
    made = Maker("bursts", seed, 4_000, 60)
    rate = np.full(made.n, made.rng.uniform(1.5, 4))
    for start in made.places(6, 12):
        rows = int(made.rng.integers(4, 13))
        rate[start : start + rows] *= made.rng.uniform(2.5, 5)
        made.told(start, rows)
    made.series.values = made.rng.poisson(rate).astype(float)
    return made.series


def dropouts(seed: int) -> Series:
    """Orders every ten minutes with a daily season, that fall to nothing, or whose rows have no value."""
    made = Maker("dropouts", seed, 144 * 21, 600)
    rate = 60 + 35 * np.sin(2 * np.pi * made.days)
    values = made.rng.poisson(rate).astype(float)
    for number, start in enumerate(made.places(6, 6)):
        rows = int(made.rng.integers(1, 7))
        values[start : start + rows] = math.nan if number % 3 == 2 else 0.0
        made.told(start, rows)
    made.series.values = values
    return made.series


def shifts(seed: int) -> Series:
    """A gauge whose level moves by 3.5 to 8 times its noise, and stays; of every second one noise lasts for some rows."""
    made = Maker("shifts", seed, 3_000, 60)
    noise = made.rng.normal(0, 0.2, made.n)
    if seed % 2:
        for row in range(1, made.n):
            noise[row] = 0.6 * noise[row - 1] + 0.8 * noise[row]
    values = 10 + noise
    for start in made.places(5):
        values[start:] += made.sign() * made.rng.uniform(0.7, 1.6)
        made.told(start, NOTICED_WITHIN, 0)
    made.series.values = values
    return made.series


def whole(seed: int) -> Series:
    """A gauge of whole numbers with a narrow range, such as machines that are up."""
    made = Maker("whole", seed, 3_000, 300)
    values = np.round(40 + made.rng.normal(0, 0.6, made.n))
    for start in made.places(6, 4):
        rows = int(made.rng.integers(1, 5))
        values[start : start + rows] += made.sign() * made.rng.integers(3, 7)
        made.told(start, rows)
    made.series.values = values
    return made.series


def flat(seed: int) -> Series:
    """A line that does not move, but for anomalies."""
    made = Maker("flat", seed, 3_000, 300)
    level = float(made.rng.choice((0.0, 1.0, 7.25, 1e6)))
    values = np.full(made.n, level)
    for start in made.places(5, 4):
        rows = int(made.rng.integers(1, 5))
        values[start : start + rows] += made.sign() * made.rng.uniform(0.5, 3) if level else float(made.rng.integers(2, 6))
        made.told(start, rows)
    made.series.values = values
    return made.series


def sparse(seed: int) -> Series:
    """Counts that are mostly 0, and moments with many."""
    made = Maker("sparse", seed, 4_000, 300)
    values = made.rng.poisson(0.15, made.n).astype(float)
    for start in made.places(6, 4):
        rows = int(made.rng.integers(1, 5))
        values[start : start + rows] += made.rng.integers(2, 7, rows)
        made.told(start, rows)
    made.series.values = values
    return made.series


def growing(seed: int) -> Series:
    """A trend with a daily season that grows with it, and noise with long tails."""
    made = Maker("growing", seed, 96 * 30, 900)
    level = 100 * np.exp(made.days / 40)
    values = level * (1 + 0.3 * np.sin(2 * np.pi * made.days)) + level * 0.02 * made.rng.standard_t(5, made.n)
    for start in made.places(6, 6):
        rows = int(made.rng.integers(2, 7))
        values[start : start + rows] *= 1 + made.sign() * made.rng.uniform(0.1, 0.25)
        made.told(start, rows)
    made.series.values = values
    return made.series


KINDS: Sequence[Callable[[int], Series]] = (
    drifting, daily, weekly, bursts, dropouts, shifts, whole, flat, sparse, growing,
)  # fmt: skip


def thirty(seed: int) -> list[Series]:
    """Three of each kind."""
    return [kind(1_000 * seed + number) for kind in KINDS for number in range(3)]


@dataclass(frozen=True)
class Found:
    """Shares of anomalies found, at a threshold for all series."""

    threshold: float
    share: float
    by_kind: dict[str, float]
    false_alarms: dict[str, int]
    n_false: int
    n_usual: int


def found(series: Sequence[Series], scored: Sequence[Sequence[float]], per: int = 1_000) -> Found:
    """What lies above the lowest threshold with at most one false alarm in so many usual rows."""
    usual, kinds = [], []
    peaks: dict[str, list[float]] = {}
    for each, its in zip(series, scored, strict=True):
        outside = np.ones(len(its), bool)
        for start, end in each.anomalies:
            outside[start:end] = False
            peaks.setdefault(each.kind, []).append(max(its[start:end]))
        usual.append(np.asarray(its)[outside])
        kinds += [each.kind] * int(outside.sum())
    all_usual = np.concatenate(usual)
    threshold = float(np.sort(all_usual)[::-1][len(all_usual) // per])  # what lies above it
    false = all_usual > threshold
    return Found(
        threshold,
        float(np.mean([peak > threshold for its in peaks.values() for peak in its])),
        {kind: float(np.mean([peak > threshold for peak in its])) for kind, its in peaks.items()},
        {kind: int(sum(1 for of, is_false in zip(kinds, false, strict=True) if is_false and of == kind)) for kind in peaks},
        int(false.sum()),
        len(all_usual),
    )


def ours(series: Sequence[Series]) -> list[list[float]]:
    """The scores of these."""
    return [scores(each.rows()) for each in series]
