"""When a topic has turned to rubbish: too many of its records cannot be used, or too many one after the other.

Then going on would only move a broken producer's output into dead letters while nobody looks, so the worker stops: before the batch is folded,
so that nothing of it was applied, said or committed.

Cases:   of a type that we do not know -> sound, and no sign of rubbish | too late -> the fold says so, and no limit counts it: old is not broken
         a partition is judged by itself, record by record: how records are cut into batches changes nothing
         records that were read before (a take-over, a hole) -> the partition is counted anew | after a restart all are
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.rejects import Reason

UNCOUNTED = (Reason.UNKNOWN_TYPE,)


@dataclass(frozen=True)
class RubbishLimit:
    """How much may be wrong. Validates itself."""

    max_ratio: float = 0.5
    """Share of the last `window` records of a partition that may be wrong; 1: any."""
    window: int = 10_000
    """Records that the share is of; fewer are not judged by it."""
    max_run: int = 1_000
    """Records of a partition that may be wrong one after the other."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not 0 < self.max_ratio <= 1:
            message = f"max_ratio is a share above 0 and up to 1, not {self.max_ratio}"
            raise ValueError(message)
        for name in ("window", "max_run"):
            if getattr(self, name) < 1:
                message = f"{name} is at least 1, not {getattr(self, name)}"
                raise ValueError(message)


class TopicIsRubbish(RuntimeError):
    """A topic whose records cannot be used; the message says why, what was not done, and what to do."""


@dataclass(frozen=True)
class Breach:
    """Where a limit was passed."""

    at: int
    """Place of the record that passed it, among those that were judged."""
    said: str
    """What is too many."""


@dataclass
class Tally:
    """How the last records of one partition were."""

    limit: RubbishLimit
    last_offset: int = -1
    example: str = ""
    """What was wrong last, for people."""
    _recent: NDArray[np.bool_] | None = None
    """Of the last records up to `window`, the oldest first: whether each was wrong."""
    _run: int = 0
    """How many were wrong at the end, one after the other."""

    def begin(self, offset: int) -> None:
        """Count anew if this record, the next one, has been read before."""
        if offset <= self.last_offset:
            self._recent, self._run = None, 0

    def judge(self, is_wrong: NDArray[np.bool_]) -> Breach | None:
        """Count records in their order; the first that passes a limit."""
        breaches = [breach for breach in (self._too_long_a_run(is_wrong), self._too_many(is_wrong)) if breach is not None]
        return min(breaches, key=lambda breach: breach.at, default=None)

    def _too_long_a_run(self, is_wrong: NDArray[np.bool_]) -> Breach | None:
        places = np.arange(len(is_wrong))
        last_right = np.maximum.accumulate(np.where(is_wrong, -1 - self._run, places))
        runs = places - last_right
        self._run = int(runs[-1])
        over = np.flatnonzero(is_wrong & (runs > self.limit.max_run))
        if not len(over):
            return None
        return Breach(
            int(over[0]), f"{self.limit.max_run + 1:,} records one after the other, {self.limit.max_run:,} allowed (max_run)"
        )

    def _too_many(self, is_wrong: NDArray[np.bool_]) -> Breach | None:
        window, known = self.limit.window, np.zeros(0, np.bool_) if self._recent is None else self._recent
        every = np.concatenate([known, is_wrong])
        self._recent = every[-window:]
        if len(every) < window or not every.any():
            return None
        sums = np.concatenate([[0], np.cumsum(every)])
        wrong = sums[window:] - sums[:-window]  # of the window that ends with each record, from the first whole one on
        over = np.flatnonzero(wrong > self.limit.max_ratio * window)
        over = over[over + window > len(known)]  # what ended before was judged before
        if not len(over):
            return None
        share = f"{wrong[over[0]]:,} of the last {window:,} records, {self.limit.max_ratio:g} of them allowed (max_ratio)"
        return Breach(int(over[0]) + window - 1 - len(known), share)


class Limited:
    """Stops the worker when its topic has turned to rubbish. Asked before a batch is folded, one batch at a time."""

    def __init__(self, limit: RubbishLimit, *, topic: str, stop: Callable[[TopicIsRubbish], object]) -> None:
        """Take the limit, and whom to tell: `stop` ends the process."""
        self._limit, self._topic, self._stop = limit, topic, stop
        self._tallies: dict[int, Tally] = {}

    def __call__(self, partitions: Sequence[int], offsets: Sequence[int], rejects: pl.DataFrame) -> None:
        """Count what is wrong in the records at these places. Frames: REJECTS."""
        of_partitions, at = np.asarray(partitions, np.int32), np.asarray(offsets, np.int64)
        wrong = rejects.filter(~pl.col("reason").is_in(UNCOUNTED))
        for partition in np.unique(of_partitions).tolist():
            its_own = at[of_partitions == partition]
            tally = self._tallies.setdefault(partition, Tally(self._limit))
            tally.begin(int(its_own[0]))
            its_wrong = wrong.filter(pl.col("partition") == partition)
            breach = tally.judge(np.isin(its_own, its_wrong["offset"].to_numpy()))
            tally.last_offset = int(its_own[-1])
            if its_wrong.height:
                tally.example = _told_of(its_wrong)
            if breach is not None:
                self._stop(self._told(partition, int(its_own[breach.at]), breach, tally.example))

    def _told(self, partition: int, offset: int, breach: Breach, example: str) -> TopicIsRubbish:
        message = (
            f"topic {self._topic} has turned to rubbish: the limit is passed at offset {offset} of partition {partition}. "
            f"Of no use were {breach.said}.\n"
            f"  The last: {example}\n"
            "  The worker stops. Nothing was skipped: started again, it goes on from its last checkpoint.\n"
            "  Mend the producer; `ebbtide dead-letters list` shows what came before. To take it all the same, as dead letters, "
            "raise max_ratio or max_run of the settings [dead_letters] and start again."
        )
        return TopicIsRubbish(message)


def _told_of(wrong: pl.DataFrame) -> str:
    """What is wrong with the records of a batch, and with the first of them."""
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in wrong["reason"].value_counts(sort=True).rows())
    first = wrong.row(0, named=True)
    return f"{reasons}; at offset {first['offset']}: {first['detail'] or first['reason']}"
