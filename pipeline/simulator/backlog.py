"""What the simulator has told but not handed out yet, in order of arrival.

Frames:  contract.EVENTS with `visit` (a running number); truth.TRUTH and truth.FRICTIONS with `visit` and `settled_at` (the last of the visit arrived)
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from pipeline.simulator.columns import TIME, schema
from pipeline.simulator.contract import EVENTS
from pipeline.simulator.disorder import Disorder, disordered
from pipeline.simulator.draws import Ints
from pipeline.simulator.stories import Stories
from pipeline.simulator.truth import FRICTIONS, TRUTH

_SETTLED = schema({"visit": pl.Int64, "settled_at": TIME})


@dataclass(frozen=True)
class Backlog:
    """Events and truth of some cohorts."""

    events: pl.DataFrame
    truth: pl.DataFrame
    frictions: pl.DataFrame

    @classmethod
    def nothing(cls) -> "Backlog":
        """No events, no truth."""
        return cls(
            pl.DataFrame(schema=schema({"visit": pl.Int64, **EVENTS})),
            pl.DataFrame(schema=schema({**TRUTH, **_SETTLED})),
            pl.DataFrame(schema=schema({**FRICTIONS, **_SETTLED})),
        )

    @classmethod
    def arrived(cls, told: Sequence[Stories], n_visits: int, seed: Sequence[int], disorder: Disorder) -> "Backlog":
        """One cohort as it arrives, its visits numbered from `n_visits` on."""
        if not told:
            return cls.nothing()
        events, truths = [], []
        for story in told:
            events.append(story.events.with_columns(pl.col("visit") + n_visits))
            truths.append(story.truth.with_columns((pl.int_range(pl.len(), dtype=pl.Int64) + n_visits).alias("visit")))
            n_visits += story.truth.height
        arrived = disordered(pl.concat(events), seed, disorder)
        settled = arrived.group_by("visit").agg(pl.col("record_at").max().alias("settled_at"))
        truth = pl.concat(truths).join(settled, on="visit", how="left", maintain_order="left")
        frictions = pl.concat([story.frictions for story in told]).join(
            truth.select("visit_id", "visit", "settled_at"), on="visit_id", how="left", maintain_order="left"
        )
        return cls(arrived, truth.sort("settled_at", maintain_order=True), frictions.sort("settled_at", maintain_order=True))

    @classmethod
    def all_of(cls, parts: Sequence["Backlog"]) -> "Backlog":
        """All parts in order of arrival: of two rows at the same time the one of the earlier part is first."""
        return cls(
            pl.concat([part.events for part in parts]).sort("record_at", maintain_order=True),
            pl.concat([part.truth for part in parts]).sort("settled_at", maintain_order=True),
            pl.concat([part.frictions for part in parts]).sort("settled_at", maintain_order=True),
        )

    def split(self, until_ms: int) -> tuple["Backlog", "Backlog"]:
        """What has arrived before this time, and the rest."""
        parts = []
        for frame, column in ((self.events, "record_at"), (self.truth, "settled_at"), (self.frictions, "settled_at")):
            n = int(np.searchsorted(times_ms(frame, column), until_ms))
            parts.append((frame[:n], frame[n:]))
        return Backlog(*(now for now, _ in parts)), Backlog(*(later for _, later in parts))

    def first(self, n: int) -> "Backlog":
        """At most n events, and the visits that are whole with them."""
        if self.events.height <= n:
            return self
        before, _ = self.split(int(times_ms(self.events, "record_at")[n]))
        return replace(before, events=self.events[:n])

    def whole(self, n_events: int) -> "Backlog":
        """The first visits, in order of their beginning, that together have so many events."""
        first = self.truth.sort("started_at", "visit").filter(pl.col("n_events").cum_sum() - pl.col("n_events") < n_events)
        numbers = first.select("visit")
        return Backlog(
            self.events.join(numbers, on="visit", how="semi", maintain_order="left"),
            first,
            self.frictions.join(numbers, on="visit", how="semi", maintain_order="left"),
        )


class Queue:
    """Rows in order of time, taken from the front; it holds no more than was put in and not taken."""

    def __init__(self, empty: pl.DataFrame) -> None:
        """A queue with nothing in it."""
        self._empty = empty
        self._parts: deque[tuple[pl.DataFrame, Ints]] = deque()

    def put(self, frame: pl.DataFrame, at_ms: Ints) -> None:
        """Rows later than all that are in the queue, ascending by their times."""
        if frame.height:
            self._parts.append((frame, at_ms))

    def take(self, until_ms: int) -> pl.DataFrame:
        """The rows before this time; they are gone from the queue."""
        taken = []
        while self._parts:
            frame, at_ms = self._parts.popleft()
            n = int(np.searchsorted(at_ms, until_ms))
            taken.append(frame[:n])
            if n < frame.height:
                self._parts.appendleft((frame[n:], at_ms[n:]))
                break
        if len(taken) == 1:
            return taken[0]
        return pl.concat([self._empty, *taken])

    def __bool__(self) -> bool:
        """Is there anything in it?"""
        return bool(self._parts)


def times_ms(frame: pl.DataFrame, column: str) -> Ints:
    """The times of a column as epoch ms."""
    return frame[column].to_physical().to_numpy()
