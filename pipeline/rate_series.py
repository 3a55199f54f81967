"""Shares, interval by interval, of many series: how unlikely the newest of each are, by nothing but what came before them.

A share is looked at over the last 1, 3 and 12 intervals. What is usual is learned only once an interval is 12 old, so a spike has been noticed
before it could count as usual; while a series is raised it learns nothing but what may be so every week, until it has been raised so long that this is usual.

A baseline learns shares of at least 30, with 16 to be expected, or 4 if those take 12 intervals: until there are so many, intervals are put together.
What comes more rarely is held against its mean share. What a share moves by beyond chance is learned (`beyond`), and how far off it was over each stretch.

Time:    ms since 1970, start of an interval
Cases:   a dip that ends -> no spike: a share must be above what is expected over short levels, and over long ones | seen for less than `history` -> p is 1, and nothing is claimed | no row -> not judged | of none -> not judged
"""

from dataclasses import dataclass

import numpy as np

from pipeline.many_baselines import (
    BASELINE,
    Arrays,
    Field,
    Flags,
    Floats,
    Guesses,
    Places,
    Values,
    forget_levels,
    learn_scales,
    push,
    push_by_week,
    scale_fields,
    scales,
)
from pipeline.rate_tails import distance, normal_tail, rooted, share, surprise
from pipeline.running_scale import CLIPPED
from pipeline.running_scale import MEMORY as SCALE_MEMORY

WINDOWS = (1, 3, 12)
"""Intervals that are looked at together."""
_WINDOWS = np.array(WINDOWS)
KEPT = WINDOWS[-1]
LEAST = 30
"""Of how many a share must be for a baseline to learn it ..."""
LEAST_EXPECTED = 16.0
"""... and how many must be expected among them, so that chance moves a level of three by no more than a seventh ..."""
FEW_EXPECTED = 4.0
"""... or how many, if it takes as long as the longest stretch to come so far: their root is about normal."""
KNOWN_OF = 200
"""Of how many a share must be known for it to be judged."""
RAISED_P = 1e-3
"""A series so unlikely is raised: it learns nothing."""
LOWERED_P = 0.05
"""It is raised until all stretches are that likely again."""
HALF_LIFE_MS = 14 * 86_400_000
"""After so long a count is half of the mean share."""
NONE = -1

SERIES: dict[str, Field] = {
    **BASELINE,
    **scale_fields(len(WINDOWS)),
    "first_ms": (np.int64, (), NONE),
    "seen_ms": (np.int64, (), NONE),
    "n_sum": (np.float64, (), 0.0),
    "n_of_sum": (np.float64, (), 0.0),
    "n_put": (np.float64, (), 0.0),
    "n_of_put": (np.float64, (), 0.0),
    "put_from": (np.int64, (), NONE),
    "beyond": (np.float64, (), 0.0),
    "n_beyond": (np.int64, (), 0),
    "raised_ms": (np.int64, (), NONE),
    "at": (np.int64, (KEPT,), NONE),
    "n": (np.float64, (KEPT,), 0.0),
    "n_of": (np.float64, (KEPT,), 0.0),
    "expected": (np.float64, (KEPT,), np.nan),
    "root": (np.float64, (KEPT,), np.nan),
    "root_at": (np.float64, (KEPT,), np.nan),
    "root_span": (np.float64, (KEPT,), np.nan),
    "root_most": (np.float64, (KEPT,), np.nan),
    "root_should": (np.float64, (KEPT,), np.nan),
}
"""What is remembered of each series."""
RING = tuple(SERIES)[tuple(SERIES).index("at") :]
"""Of that, what stands in a ring of the last intervals, by their number."""


@dataclass(frozen=True)
class Interval:
    """Which interval it is, and by which rules it is judged."""

    number: int
    """Since 1970."""
    span_ms: int
    is_bound: bool
    """Whether a share is at most 1."""
    history_ms: int
    lasting_ms: int

    @property
    def from_ms(self) -> int:
        """Its start."""
        return self.number * self.span_ms

    @property
    def to_ms(self) -> int:
        """Its end."""
        return self.from_ms + self.span_ms


@dataclass(frozen=True)
class Judged:
    """Some series in an interval, and over the stretches that end with it: a column a stretch."""

    rows: Places
    n: Floats
    n_of: Floats
    expected: Floats
    dispersion: Floats
    z: Floats
    """Standard deviations above what was expected; -infinite: no more than that."""
    p: Floats
    """Probability of so many or more."""
    known: Flags
    """Whether there is enough history to claim anything; else p is 1."""
    became_usual: Flags
    """Whether it was raised for so long that it is usual from now on."""
    now: Floats
    """What is to be expected of the interval alone; NaN: unknown."""


def judged(its: Arrays, rows: Places, n: Floats, n_of: Floats, interval: Interval) -> Judged:
    """So many of so many were there in the interval; judge them, then learn. Changes `its`. `n_of` is above 0; no row stands twice."""
    _learn_old(its, rows, interval)
    begins = rows[its["first_ms"][rows] == NONE]
    its["first_ms"][begins] = interval.from_ms
    its["seen_ms"][rows] = interval.from_ms
    mid_s = np.full(len(rows), (interval.from_ms + interval.span_ms / 2) / 1_000)
    guesses = Guesses(its, rows, mid_s)
    is_rare = np.isnan(guesses.expected)
    rate = np.where(
        is_rare,
        _mean_share(its, rows),
        share(np.fmax(np.fmax(guesses.expected, guesses.steady), guesses.by_week), is_bound=interval.is_bound),
    )
    has_share = its["n_of_sum"][rows] >= KNOWN_OF
    known = has_share & (interval.from_ms - its["first_ms"][rows] >= interval.history_ms)
    slot = interval.number % KEPT
    for name, value in (("at", interval.number), ("n", n), ("n_of", n_of), ("expected", np.where(has_share, n_of * rate, np.nan))):
        its[name][rows, slot] = value
    found = _judge(its, rows, known, is_rare, interval)
    _learn(its, guesses, (n, n_of), interval)
    became_usual = _raise(its, found, interval)
    return Judged(**{**found.__dict__, "became_usual": became_usual})


def _judge(its: Arrays, rows: Places, known: Flags, is_rare: Flags, interval: Interval) -> Judged:
    """Over each stretch. Learns how far off they were, unless they were raised before."""
    at, n, n_of, expected = (its[name][rows] for name in ("at", "n", "n_of", "expected"))
    there = (at[:, None] > interval.number - _WINDOWS[:, None]) & ~np.isnan(expected)[:, None]
    total, total_of, should, squares = np.where(there, np.stack([n, n_of, expected, n_of * n_of])[:, :, None], 0.0).sum(axis=3)
    safe_of = np.maximum(total_of, 1.0)
    own = 1 + 4 * np.maximum(its["beyond"][rows], 0.0)[:, None] * squares / safe_of
    seldom = np.where(is_rare[:, None], 1 + should / (its["n_sum"][rows] + 0.5)[:, None], 1.0)
    now: Floats = expected[:, interval.number % KEPT]
    off = distance(total, safe_of, should, is_bound=interval.is_bound) / np.sqrt(own * seldom)
    dispersion = own * seldom * scales(its, rows) ** 2
    z = np.where(known[:, None], surprise(total, safe_of, should, dispersion, is_bound=interval.is_bound), -np.inf)
    calm = ~np.isnan(now) & (its["raised_ms"][rows] == NONE)
    learn_scales(its, rows, np.where(calm[:, None], off, np.nan))
    return Judged(rows, total, total_of, should, dispersion, z, normal_tail(z), known, np.zeros(len(rows), dtype=bool), now)


def _learn(its: Arrays, guesses: Guesses, seen: tuple[Floats, Floats], interval: Interval) -> None:
    """Put the interval to those before it; if they are enough, guesses are judged by them, and the baseline learns them later."""
    rows, (n, n_of), mean_share = guesses.rows, seen, _mean_share(its, guesses.rows)
    calm = its["raised_ms"][rows] == NONE
    fade = 0.5 ** (interval.span_ms / HALF_LIFE_MS)
    for name, value in (("n_sum", n), ("n_of_sum", n_of)):
        its[name][rows] = np.where(calm, its[name][rows] * fade + value, its[name][rows])
    put_from = np.where(its["put_from"][rows] == NONE, interval.from_ms, its["put_from"][rows])
    n_put, n_of_put = its["n_put"][rows] + n, its["n_of_put"][rows] + n_of
    least_share = np.minimum(mean_share, 1 - mean_share) if interval.is_bound else mean_share
    least = np.where(interval.to_ms - put_from >= KEPT * interval.span_ms, FEW_EXPECTED, LEAST_EXPECTED)
    full = (n_of_put >= LEAST) & (n_of_put * np.maximum(least_share, 1e-9) >= least)
    its["n_put"][rows] = np.where(full, 0.0, n_put)
    its["n_of_put"][rows] = np.where(full, 0.0, n_of_put)
    its["put_from"][rows] = np.where(full, NONE, put_from)
    if not full.any():
        return
    to, n_put, n_of_put, put_from = rows[full], n_put[full], n_of_put[full], put_from[full]
    root = rooted(n_put, n_of_put, is_bound=interval.is_bound)
    should = guesses.expected[full]
    chance = 1 / (4 * n_of_put)
    most = np.where(np.isnan(should), np.inf, CLIPPED * np.sqrt(chance + np.maximum(its["beyond"][to], 0.0)))
    judges = calm[full]
    values, mosts = (np.full(len(rows), np.inf) for _ in range(2))
    values[full], mosts[full] = root, most
    guesses.judge(its, full & calm, guesses.off(values, mosts))
    learns = judges & ~np.isnan(should)
    its["n_beyond"][to] += learns
    gain = np.maximum(1 / np.maximum(its["n_beyond"][to], 1), 1 / SCALE_MEMORY)
    moved = np.minimum((root - should) ** 2, most**2) - chance - its["beyond"][to]
    its["beyond"][to] += np.where(learns, gain * moved, 0.0)
    slot = interval.number % KEPT
    told = {
        "root": root,
        "root_at": (put_from + interval.to_ms) / 2_000,
        "root_span": (interval.to_ms - put_from) / 1_000,
        "root_most": most,
        "root_should": should,
    }
    for name, value in told.items():
        its[name][to, slot] = value
    if not judges.all():  # raised: but it may be so every week
        push_by_week(its, to[~judges], _values(*(value[~judges] for value in told.values())))


def _mean_share(its: Arrays, rows: Places) -> Floats:
    """Of late; half of one of one more, where nothing is known."""
    mean: Floats = (its["n_sum"][rows] + 0.5) / (its["n_of_sum"][rows] + 1)
    return mean


def _learn_old(its: Arrays, rows: Places, interval: Interval) -> None:
    """What is 12 intervals old is learned, oldest first, and leaves the ring."""
    while True:
        at = its["at"][rows]
        old = (at != NONE) & (at <= interval.number - KEPT)
        its_rows = old.any(axis=1)
        if not its_rows.any():
            return
        slot = np.where(old, at, np.iinfo(np.int64).max).argmin(axis=1)[its_rows]
        _take(its, rows[its_rows], slot)


def _take(its: Arrays, rows: Places, slots: Places) -> None:
    """Learn what stands in these slots, and empty them."""
    there = ~np.isnan(its["root"][rows, slots]) & (its["raised_ms"][rows] == NONE)
    to, at = rows[there], slots[there]
    if len(to):
        told = (its[name][to, at] for name in ("root", "root_at", "root_span", "root_most", "root_should"))
        push(its, to, _values(*told))
    its["at"][rows, slots] = NONE
    its["root"][rows, slots] = np.nan


def _raise(its: Arrays, found: Judged, interval: Interval) -> Flags:
    """Note which series are raised, which are so no more, and which have been for so long that this is usual: that is said."""
    rows = found.rows
    since = its["raised_ms"][rows]
    was = since != NONE
    least = found.p.min(axis=1)
    begins = ~was & (least < RAISED_P)
    its["raised_ms"][rows[begins]] = interval.from_ms
    ends = was & (least > LOWERED_P)
    lasts: Flags = was & ~ends & (interval.to_ms - since >= interval.lasting_ms)
    its["root"][rows[ends]] = np.nan  # of the time when it was raised
    its["raised_ms"][rows[ends]] = NONE
    if lasts.any():
        begin_anew(its, rows[lasts])
    return lasts


def _values(root: Floats, at_s: Floats, span_s: Floats, most: Floats, should: Floats) -> Values:
    """What a baseline learns: of an outlier its seasons learn so much at most."""
    most = np.where(np.isnan(should), np.inf, most)
    middle = np.where(np.isnan(should), root, should)
    return Values(at_s, root, span_s, np.clip(root, middle - most, middle + most))


def forget_stretch(its: Arrays, rows: Places) -> None:
    """What was seen so far is no evidence any more: an alert of it was resolved. Changes `its`."""
    its["expected"][rows] = np.nan


def begin_anew(its: Arrays, rows: Places) -> None:
    """What is raised is usual from now on: levels and mean share are those of the last intervals. Changes `its`."""
    its["raised_ms"][rows] = NONE
    forget_levels(its, rows)
    n, n_of = (np.where(its["at"][rows] == NONE, 0.0, its[name][rows]).sum(axis=1) for name in ("n", "n_of"))
    its["n_sum"][rows] = n / n_of * np.maximum(n_of, KNOWN_OF)
    its["n_of_sum"][rows] = np.maximum(n_of, KNOWN_OF)
    while True:
        at = its["at"][rows]
        there = at != NONE
        left = there.any(axis=1)
        if not left.any():
            return
        slot = np.where(there, at, np.iinfo(np.int64).max).argmin(axis=1)[left]
        _take(its, rows[left], slot)
