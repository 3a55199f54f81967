"""The order in which events arrive: nearly as they happened, some late, some twice.

Frames:  CONTRACT (any further columns are kept) -> the same and `record_at`, in order of `record_at`
Time:    record_at = event_at + a breath of network + lateness, at most `MOST_MS` apart
Cases:   in time | late by itself, mostly under a minute | late with all its neighbours, for the device was offline | a copy, later
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator.draws import Ints, mixed

_OFFLINE_MS = 600_000
_SHARE_OFFLINE = 0.2
"""Of the late events, those that a device held back while it was offline, all of the same ten minutes at once."""
MOST_MS = 45 * 60_000
"""Nothing arrives later than this after it happened."""
_HELD_UP_MS = ((0.85, 3_000, 60_000), (0.12, 60_000, 300_000), (0.03, 300_000, 1_800_000))
"""How late an event is that is late by itself: mostly within a minute, some within five, a few up to half an hour."""
_AGAIN_MS = ((0.9, 200, 60_000), (0.1, 60_000, 600_000))
"""How long after the first one a copy comes."""


@dataclass(frozen=True)
class Disorder:
    """How much of it there is."""

    late: float = 0.05
    """Share of events that arrive seconds to many minutes late."""
    twice: float = 0.02
    """Share of events that arrive once more, with the same `event_id`."""

    def __post_init__(self) -> None:
        """Raises: ValueError if a share is none."""
        if not (0 <= self.late <= 1 and 0 <= self.twice <= 1):
            message = "late and twice are shares: between 0 and 1"
            raise ValueError(message)


def disordered(events: pl.DataFrame, seed: int | Sequence[int], disorder: Disorder, *, by: str | None = None) -> pl.DataFrame:
    """The events as they arrive. `by`: the column of the device, which may go offline with all that stands together; servers have none."""
    rng = np.random.default_rng(seed)
    n = events.height
    at_ms = events["event_at"].dt.epoch("ms").to_numpy()
    lateness_ms = np.minimum(20 + rng.lognormal(4.8, 0.7, n), 2_000).astype(np.int64)

    share_offline = _SHARE_OFFLINE if by else 0.0
    alone = rng.random(n) < disorder.late * (1 - share_offline)
    lateness_ms[alone] = mixed(rng, int(alone.sum()), _HELD_UP_MS)
    if by:
        back_ms = _back_online_ms(rng, events[by], at_ms, disorder.late * share_offline)
        lateness_ms = np.where(back_ms > 0, back_ms - at_ms, lateness_ms)
    lateness_ms = np.minimum(lateness_ms, MOST_MS - 1_000)

    copied = np.flatnonzero(rng.random(n) < disorder.twice)
    again_ms = mixed(rng, len(copied), _AGAIN_MS)
    rows = np.append(np.arange(n), copied)
    arrived_ms = at_ms[rows] + np.append(lateness_ms, np.minimum(lateness_ms[copied] + again_ms, MOST_MS))
    order = np.argsort(arrived_ms, kind="stable")
    record_at = pl.Series("record_at", arrived_ms[order]).cast(pl.Datetime("ms", "UTC"))
    return events[rows[order]].with_columns(record_at)


def _back_online_ms(rng: np.random.Generator, visitor: pl.Series, at_ms: Ints, share: float) -> Ints:
    """When the device of each event came back online; 0 if it was never gone."""
    n = len(at_ms)
    if n == 0:
        return at_ms
    span = at_ms // _OFFLINE_MS
    begins = np.ones(n, dtype=bool)
    begins[1:] = (visitor != visitor.shift(1)).to_numpy()[1:] | (span[1:] != span[:-1])
    run = np.cumsum(begins) - 1
    ends_ms = np.maximum.reduceat(at_ms, np.flatnonzero(begins))
    n_runs = len(ends_ms)
    is_offline = rng.random(n_runs) < share
    back_ms = ends_ms + rng.integers(10_000, 1_900_000, n_runs)
    # The device sends what it kept in order, a few milliseconds apart.
    return np.where(is_offline[run], back_ms[run] + (at_ms - ends_ms[run] + _OFFLINE_MS) // 1_000, 0)
