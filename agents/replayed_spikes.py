"""The stage of spikes in a replay: it hears the counts that the other folds change, and how far they have come."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import polars as pl

from agents.replayed_events import PARTITION
from agents.replayed_topic import ReplayedTopic
from pipeline.fold import Step
from pipeline.frames import TIME, WATERMARKS
from pipeline.passed import COUNT, COUNTS, EXAMPLE, Passed
from pipeline.spikes import OF_VISITS, SpikesFold


class ReplayedSpikes:
    """The fold over counts on its way through the events."""

    def __init__(self, fold: SpikesFold) -> None:
        """Begin with nothing."""
        self.fold, self._state = fold, fold.empty()
        self._topic = ReplayedTopic(COUNTS, COUNT, EXAMPLE)
        self._reached: datetime | None = None
        self._of_visits: datetime | None = None

    def take(self, passed: Iterable[Passed], reached: datetime | None, of_visits: datetime | None) -> Step[Any]:
        """The step over what has come, and over time: how far the slowest of the folds is, and that of visits."""
        rows = self._topic.heard(passed, self._reached)
        self._reached, self._of_visits = _later(self._reached, reached), _later(self._of_visits, of_visits)
        marks = {"partition": [PARTITION], "watermark": [self._reached], OF_VISITS: [self._of_visits]}
        done = self.fold.step(self._state, rows, pl.DataFrame(marks, schema={**WATERMARKS, OF_VISITS: TIME}))
        self._state = done.state
        return done


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    known = [at for at in (one, other) if at is not None]
    return max(known, default=None)
