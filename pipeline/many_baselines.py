"""The baselines of seasonal_baseline.py and the scales of running_scale.py, for thousands of series at once.

One array a quantity, one row a series: 10,000 series take a step in a tenth of the time that as many `SeasonalBaseline`s take, and a quarter of
their memory. A test holds both to the same figures, so there is one detector, told twice.

Cases:   no past -> NaN, where a single baseline says None
Source:  seasonal_baseline.py, running_scale.py
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.running_scale import CLIPPED, PACE, RARE, RARE_Z, SIGMA
from pipeline.running_scale import MEMORY as SCALE_MEMORY
from pipeline.seasonal_baseline import DAY_S, LEVELS, MEMORY, SLOT_S, TRIED, WEEK

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]
Arrays = dict[str, NDArray[Any]]
"""By name; one row a series."""

LONGEST = LEVELS[-1]
SEASONS = (("day", DAY_S // SLOT_S, 0.15), ("week", WEEK, 0.3))
"""Name, slots, and gain of each season; before them stands the guess that has none."""
N_PLACES = 1 + len(SEASONS)
HABIT = 2
"""Weeks after which the hour of the week says by itself what is usual."""

Field = tuple[type[np.generic], tuple[int, ...], float]
"""Dtype, shape within a row, and what stands there at first."""

BASELINE: dict[str, Field] = {
    **{name: (np.float64, (n_slots,), np.nan) for name, n_slots, _ in SEASONS},
    **{f"n_{name}": (np.int32, (n_slots,), 0) for name, n_slots, _ in SEASONS},
    "season_from": (np.float64, (), np.nan),
    "last": (np.float64, (N_PLACES, LONGEST), np.nan),
    "n_last": (np.int64, (N_PLACES,), 0),
    "level": (np.float64, (N_PLACES, len(LEVELS)), np.nan),
    "n_guessed": (np.int64, (N_PLACES, len(LEVELS)), 0),
    "error": (np.float64, (N_PLACES, len(LEVELS)), 0.0),
}
"""What is remembered of each baseline. `last`: a ring of what its levels are the medians of."""


def made(fields: dict[str, Field], n: int) -> Arrays:
    """Of so many new series."""
    return {name: np.full((n, *shape), begin, dtype) for name, (dtype, shape, begin) in fields.items()}


class Guesses:
    """What is expected of some series at one time each. Frames: none; arrays of equal length."""

    def __init__(self, its: Arrays, rows: Places, at_s: Floats) -> None:
        """Of these rows of `its`, at these times."""
        self.rows = rows
        self.at_s = at_s
        level = its["level"][rows]
        level[:, 1:][np.isnan(level[:, 1:])] = 0.0
        self.values: Floats = _usual_at(its, rows, at_s)[:, :, None] + level
        counts = (its["n_guessed"][rows] >= TRIED) & ~np.isnan(self.values)
        weights = np.where(counts, (its["error"][rows] + 1e-12) ** -4.0, 0.0)
        told = np.where(counts, weights * self.values, 0.0)
        self.expected: Floats = _mean(told, weights)
        self.steady: Floats = _mean(told[:, :, -1:], weights[:, :, -1:])
        """What is expected over long levels alone, which nothing short moves; NaN: unknown."""
        has_weeks = at_s - its["season_from"][rows] >= HABIT * WEEK * SLOT_S
        self.by_week: Floats = np.where(counts[:, -1, -1] & has_weeks, self.values[:, -1, -1], np.nan)
        """What the hour of the week expects over a long level; NaN: not seen often enough to be a habit."""

    def off(self, values: Floats, most: Floats) -> Floats:
        """How far each guess was off, at most so far; NaN: there was none."""
        return np.clip(values[:, None, None] - self.values, -most[:, None, None], most[:, None, None])

    def judge(self, its: Arrays, which: Flags, off: Floats) -> None:
        """Remember how far off each guess of these was; changes `its`."""
        rows, off = self.rows[which], np.abs(off[which])
        n, error = its["n_guessed"][rows], its["error"][rows]
        counts = ~np.isnan(off)
        n = n + counts
        gain = np.maximum(1 / np.maximum(n, 1), 1 / MEMORY)
        its["n_guessed"][rows] = n
        its["error"][rows] = np.where(counts, error + gain * (off - error), error)


@dataclass(frozen=True)
class Values:
    """What was there: one value of some series each."""

    at_s: Floats
    value: Floats
    span_s: Floats
    """For how long."""
    tame: Floats
    """The value, or as far from what was expected as a season learns."""


def _mean(told: Floats, weights: Floats) -> Floats:
    total = weights.sum(axis=(1, 2))
    mean: Floats = told.sum(axis=(1, 2)) / np.where(total > 0, total, np.nan)
    return mean


def push(its: Arrays, rows: Places, values: Values) -> None:
    """Levels and seasons learn these values; changes `its`. No row stands twice."""
    usual = _usual_at(its, rows, values.at_s)
    ring, n = its["last"], its["n_last"]
    for place in range(N_PLACES):
        known = ~np.isnan(usual[:, place])
        to = rows[known]
        ring[to, place, n[to, place] % LONGEST] = values.value[known] - usual[known, place]
        n[to, place] += 1
    its["level"][rows] = _levels(ring[rows], n[rows])
    begins = np.isnan(its["season_from"][rows])
    its["season_from"][rows[begins]] = values.at_s[begins]
    for name, _, gain in SEASONS:
        _learn(its, name, gain, rows, values)


def _usual_at(its: Arrays, rows: Places, at_s: Floats) -> Floats:
    """With no season, and with each; NaN: unknown."""
    usual = np.zeros((len(rows), N_PLACES))
    for place, (name, _, _) in enumerate(SEASONS, 1):
        usual[:, place] = _season_at(its, name, rows, at_s)
    return usual


def forget_levels(its: Arrays, rows: Places) -> None:
    """Begin the levels anew; the seasons stay."""
    its["last"][rows] = np.nan
    its["n_last"][rows] = 0
    its["level"][rows] = np.nan


def _levels(ring: Floats, n: Places) -> Floats:
    """Medians over the last 3, 13, 61."""
    series, place = np.ogrid[: n.shape[0], : n.shape[1]]
    newest_first = (n[:, :, None] - 1 - np.arange(LEVELS[-2])) % LONGEST
    last = ring[series[..., None], place[..., None], newest_first]
    found = np.empty((*n.shape, len(LEVELS)))
    for at, length in enumerate(LEVELS):
        ordered = np.sort(ring if length == LONGEST else last[:, :, :length], axis=2)  # NaN last
        seen = np.minimum(n, length)
        high = ordered[series, place, np.minimum(seen // 2, length - 1)]
        below = ordered[series, place, np.maximum((seen - 1) // 2, 0)]
        found[:, :, at] = np.where(seen > 0, (below + high) / 2, np.nan)
    return found


def _on_line(usual: Floats, rows: Places, at_s: Floats) -> Floats:
    place = at_s / SLOT_S
    whole, n_slots = np.floor(place), usual.shape[1]
    off = place - whole - 0.5
    slot = whole.astype(np.int64)
    here: Floats = usual[rows, slot % n_slots]
    beside = usual[rows, (slot + np.where(off > 0, 1, -1)) % n_slots]
    return np.where(np.isnan(beside), here, here + np.abs(off) * (beside - here))


def _season_at(its: Arrays, name: str, rows: Places, at_s: Floats) -> Floats:
    since = at_s - its["season_from"][rows]
    seen_whole = since >= (its[name].shape[1] - 1) * SLOT_S  # False where nothing was seen
    return np.where(seen_whole, _on_line(its[name], rows, at_s), np.nan)


def push_by_week(its: Arrays, rows: Places, values: Values) -> None:
    """The hour of the week alone learns these values; changes `its`. No row stands twice."""
    name, _, gain = SEASONS[-1]
    _learn(its, name, gain, rows, values)


def _learn(its: Arrays, name: str, gain: float, rows: Places, values: Values) -> None:
    usual, n = its[name], its[f"n_{name}"]
    n_slots = usual.shape[1]
    before = _on_line(usual, rows, values.at_s)
    slot = np.floor(values.at_s / SLOT_S).astype(np.int64) % n_slots
    here = usual[rows, slot]
    much = np.maximum(1 / (n[rows, slot] + 1), gain * np.minimum(1.0, values.span_s / SLOT_S))
    usual[rows, slot] = np.where(np.isnan(here), values.tame, here + much * (values.tame - before))
    n[rows, slot] += 1


def scale_fields(n: int) -> dict[str, Field]:
    """What is remembered of `n` scales a series."""
    return {
        "n_scale": (np.int64, (n,), 0),
        "scale": (np.float64, (n,), 0.0),
        "rare": (np.float64, (n,), RARE_Z),
        "was_rare": (np.bool_, (n,), 0),
    }


def scales(its: Arrays, rows: Places) -> Floats:
    """One standard deviation of each scale of these series, never below 1; wider where few values have been seen, or rare ones are not rare."""
    n, mean, rare = (its[name][rows] for name in ("n_scale", "scale", "rare"))
    return np.maximum(mean * SIGMA, 1.0) * (1 + 10 / (n + 1)) * rare / RARE_Z


def learn_scales(its: Arrays, rows: Places, distances: Floats) -> None:
    """Values were so far from what was expected, a column a scale; NaN: none. Changes `its`."""
    n, mean, rare, was_rare = (its[name][rows] for name in ("n_scale", "scale", "rare", "was_rare"))
    there = ~np.isnan(distances)
    scale = np.maximum(mean * SIGMA, 1.0) * (1 + 10 / (n + 1))
    far = np.where(there, np.abs(distances), 0.0)
    is_rare = far > rare * scale
    moved = there & ~(is_rare & was_rare)  # a burst is one surprise
    n = n + there
    its["rare"][rows] = np.where(moved, np.maximum(RARE_Z, rare * np.exp(PACE * (is_rare - RARE))), rare)
    its["was_rare"][rows] = np.where(there, is_rare, was_rare)
    gain = np.maximum(1 / np.maximum(n, 1), 1 / SCALE_MEMORY)
    its["scale"][rows] = np.where(there, mean + gain * (np.minimum(far, CLIPPED * scale) - mean), mean)
    its["n_scale"][rows] = n
