"""When visitors come: a Poisson process whose rate follows the hours of the day and the days of the week.

Time:  epoch milliseconds, UTC; the shape is that of the shop's local time
"""

from datetime import timedelta

import numpy as np

from pipeline.simulator.draws import Floats, Ints
from pipeline.simulator.shops import Shop

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_GRID_MS = 300_000
_MONDAY_MS = 4 * DAY_MS
"""1970-01-05 was a Monday."""

HOURS = np.array(
    [
        0.55, 0.36, 0.26, 0.22, 0.22, 0.30, 0.48, 0.72, 0.92, 1.05, 1.15, 1.24,
        1.34, 1.28, 1.20, 1.18, 1.22, 1.28, 1.40, 1.62, 1.84, 1.82, 1.42, 0.93,
    ]
)  # fmt: skip
"""Arrivals of an hour of the day against the mean hour: quiet before dawn, a rise to lunch, most after dinner."""

WEEKDAYS = np.array([1.02, 0.97, 0.95, 0.97, 0.93, 1.02, 1.14])
"""Arrivals of a day against the mean day, Monday first."""


def arrivals(rng: np.random.Generator, shop: Shop, begin_ms: int, end_ms: int) -> Ints:
    """Times in [begin, end) at which new visitors come, ascending."""
    edges = np.append(np.arange(begin_ms, end_ms, _GRID_MS, dtype=np.int64), end_ms)
    middle = (edges[1:] + edges[:-1]) // 2
    per_ms = rate(shop, middle) / DAY_MS
    expected = np.append(0.0, np.cumsum(per_ms * np.diff(edges)))
    n = int(rng.poisson(expected[-1]))
    drawn = np.sort(rng.random(n)) * expected[-1]
    times = np.interp(drawn, expected, edges).astype(np.int64)
    within: Ints = np.minimum(times, end_ms - 1)
    return within


def rate(shop: Shop, at_ms: Ints) -> Floats:
    """New visitors a day that would come if it were always as busy as at these times."""
    local = at_ms + int(shop.utc_offset / timedelta(milliseconds=1))
    hour = local % DAY_MS / HOUR_MS
    of_day = np.interp(hour - 0.5, np.arange(-1, 25), np.concatenate([HOURS[-1:], HOURS, HOURS[:1]]))
    of_week = WEEKDAYS[(local - _MONDAY_MS) // DAY_MS % 7]
    per_day: Floats = shop.visitors_per_day * (of_day / HOURS.mean()) * of_week
    return per_day
