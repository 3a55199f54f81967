"""The fold by person in a replay: what the other folds and intake pass on comes to it in one partition, and what it sends on comes round at once.

Time:    as behind a broker: rows come with the time that was reached before them, and it goes on when the slowest of those that pass on has come further
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from agents.intake_stages import FAMILIES
from agents.replayed_events import PARTITION, REPLAY
from agents.replayed_topic import ReplayedTopic
from pipeline.fold import Step
from pipeline.frames import WATERMARKS
from pipeline.intake import IntakeFold
from pipeline.journeys import JourneysFold
from pipeline.passed import LINK, PEOPLE, TYPES, Passed
from pipeline.person_log import FACTS


class ReplayedPeople:
    """The fold by person on its way through the events, and intake before it."""

    family = "ticket"
    """What nobody else folds."""

    def __init__(self, fold: JourneysFold) -> None:
        """Begin with nothing."""
        self.fold, self._state = fold, fold.empty()
        self._watermarks = _watermarks(None)
        self._intake = {family: (IntakeFold(family, REPLAY, fold.rules.allowed_lateness), _watermarks(None)) for family in FAMILIES}
        self._told: dict[str, Any] = {family: stage.empty() for family, (stage, _) in self._intake.items()}
        self._topic = ReplayedTopic(PEOPLE, "ticket", LINK, TYPES, *FACTS)

    @property
    def reached(self) -> datetime | None:
        """How far time has come."""
        at: datetime | None = self._watermarks["watermark"][0]
        return at

    def take(
        self, events: Mapping[str, pl.DataFrame], passed: Iterable[Passed], reached: Iterable[datetime | None]
    ) -> Iterator[Step[Any]]:
        """The steps over a batch: events of families, and what other folds made of them; `reached`: how far these have come."""
        found = [*self._taken_in(events), *passed]
        yield from self._round(found)
        told = [*reached, *(marks["watermark"][0] for _, marks in self._intake.values())]
        known = [at for at in told if at is not None]
        if known:
            yield from self.elapse((), min(known))

    def elapse(self, passed: Iterable[Passed], until: datetime) -> Iterator[Step[Any]]:
        """Let time go on, after what still came. It never goes back."""
        yield from self._round(passed)
        at = self._watermarks["watermark"][0]
        if at is None or until > at:
            self._watermarks = _watermarks(until)
            yield from self._stepped(self._topic.nothing)

    def _taken_in(self, events: Mapping[str, pl.DataFrame]) -> Iterator[Passed]:
        for family, (stage, marks) in self._intake.items():
            if family in events:
                done = stage.step(self._told[family], events[family], marks)
                self._told[family], self._intake[family] = done.state, (stage, done.watermarks)
                yield from done.passed

    def _round(self, passed: Iterable[Passed]) -> Iterator[Step[Any]]:
        rows = self._topic.heard(passed, self._watermarks["watermark"][0])
        if rows.height:
            yield from self._stepped(rows)

    def _stepped(self, rows: pl.DataFrame) -> Iterator[Step[Any]]:
        """One step, and further ones until nothing is sent on any more."""
        while True:
            done = self.fold.step(self._state, rows, self._watermarks)
            self._state, self._watermarks = done.state, done.watermarks
            yield done
            rows = self._topic.heard(done.passed, self._watermarks["watermark"][0])
            if rows.is_empty():
                return


def _watermarks(at: datetime | None) -> pl.DataFrame:
    return pl.DataFrame({"partition": [PARTITION], "watermark": [at]}, schema=WATERMARKS)
