"""The stream of a shop's clicks, seeded and endless, with the truth beside it.

The same seed gives the same events whatever the slices are long: time is made in cohorts of a length that depends on the volume alone, each
with a generator of its own, and slices only cut what the cohorts say.

Frames:  -> contract.EVENTS, truth.TRUTH, truth.FRICTIONS
Time:    simulated; nothing reads a clock. Slices are cut by `record_at`
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import DAY_MS, arrivals
from pipeline.simulator.backlog import Backlog, Queue, times_ms
from pipeline.simulator.contract import EVENTS
from pipeline.simulator.disorder import Disorder
from pipeline.simulator.friction import OBSTACLES, Obstacle
from pipeline.simulator.shops import SHOPS, Shop
from pipeline.simulator.stories import Habits, Stories, stories
from pipeline.simulator.truth import FRICTIONS, TRUTH
from pipeline.simulator.visitors import VISITORS, coming_back, new_visitors

EVENTS_PER_VISITOR = 40
"""About how many events one new visitor makes, all visits together."""
_VISITORS_PER_COHORT = 1_000
_SHORTEST_MS, _LONGEST_MS = 300_000, DAY_MS
_FIRST_ORDER = 100_001


@dataclass(frozen=True)
class Simulated:
    """A stretch of the stream."""

    events: pl.DataFrame
    """contract.EVENTS in order of arrival, late ones and copies among them."""
    truth: pl.DataFrame
    """truth.TRUTH of the visits that have arrived whole."""
    frictions: pl.DataFrame
    """truth.FRICTIONS of these visits."""


@dataclass(frozen=True)
class Simulator:
    """Shops, their visitors, and what happens to them."""

    seed: int
    """Not negative."""
    start_at: datetime
    """When the shops open; with a time zone. They open empty: who comes back was there before."""
    shops: tuple[Shop, ...] = SHOPS
    visitors_per_day: float | None = None
    """New visitors of all shops on an average day; None: as the shops say."""
    session_gap: timedelta = timedelta(minutes=30)
    """Silence that ends a visit: longer between two, shorter within one, unless the emitter's `session_id` goes on; at least 5 min."""
    obstacles: tuple[Obstacle, ...] = OBSTACLES
    disorder: Disorder = field(default_factory=Disorder)
    bots: float = 0.02
    """Share of visitors that are bots; an emitter says so."""
    without_session_id: float = 0.5
    """Share of visitors whose emitter sends no `session_id`."""
    long_pauses: float = 0.03
    """Probability that a page is opened after minutes of silence, some just short of the gap."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a value out of range."""
        if self.seed < 0 or self.start_at.tzinfo is None or self.session_gap < timedelta(minutes=5) or not self.shops:
            message = (
                "seed must not be negative, start_at needs a time zone, session_gap is at least 5 min, shops must not be empty"
            )
            raise ValueError(message)
        if not all(0 <= share <= 1 for share in (self.bots, self.without_session_id, self.long_pauses)):
            message = "bots, without_session_id and long_pauses are shares: between 0 and 1"
            raise ValueError(message)

    @property
    def events_per_day(self) -> float:
        """About how many events an average day has."""
        return EVENTS_PER_VISITOR * sum(shop.visitors_per_day for shop in self._shops())

    def slices(self, every: timedelta, *, n_events: int | None = None) -> Iterator[pl.DataFrame]:
        """The events of one stretch of arrival time after the other, empty ones too; for ever, or up to exactly `n_events` rows."""
        for chapter in self.chapters(every, n_events=n_events):
            yield chapter.events

    def chapters(self, every: timedelta, *, n_events: int | None = None) -> Iterator[Simulated]:
        """The slices with their truth: a visit's is told in the slice in which the last of it arrives."""
        settled = self._settled(n_events)
        queues = tuple(Queue(pl.DataFrame(schema=schema)) for schema in (EVENTS, TRUTH, FRICTIONS))
        told_until = until = _ms(self.start_at)
        n_left = -1 if n_events is None else n_events
        while True:
            until += max(1, every // timedelta(milliseconds=1))
            while told_until < until:
                told = next(settled, None)
                if told is None:
                    break
                told_until, ready = told
                times = (
                    times_ms(ready.events, "record_at"),
                    times_ms(ready.truth, "settled_at"),
                    times_ms(ready.frictions, "settled_at"),
                )
                for queue, frame, at_ms in zip(queues, _handed_out(ready), times, strict=True):
                    queue.put(frame, at_ms)
            taken = Simulated(*(queue.take(until) for queue in queues))
            yield taken
            n_left -= taken.events.height
            if not n_left and not any(queues):
                return

    def visits(self, n_events: int) -> Simulated:
        """The first visits, in order of their beginning, that together have `n_events` events or just more, whole; copies come on top."""
        told, n = [Backlog.nothing()], 0
        cohorts = self._cohorts()
        while n < n_events:
            told.append(next(cohorts)[1])
            n += int(told[-1].truth["n_events"].sum())
        return Simulated(*_handed_out(Backlog.all_of(told).whole(n_events)))

    def _settled(self, n_events: int | None) -> Iterator[tuple[int, Backlog]]:
        """What has arrived for good by one time after the other, up to so many events."""
        ahead = Backlog.nothing()
        for until_ms, more in self._cohorts():
            ready, ahead = Backlog.all_of((ahead, more)).split(until_ms)
            if n_events is None:
                yield until_ms, ready
                continue
            ready = ready.first(n_events)
            n_events -= ready.events.height
            yield until_ms, ready
            if not n_events:
                return

    def _cohorts(self) -> Iterator[tuple[int, Backlog]]:
        """All that begins in one stretch of time after the other, and the time before which nothing can arrive any more."""
        shops = self._shops()
        per_day = max(sum(shop.visitors_per_day for shop in shops), 1e-9)
        length_ms = int(np.clip(_VISITORS_PER_COHORT / per_day * DAY_MS, _SHORTEST_MS, _LONGEST_MS))
        habits = Habits(self.session_gap // timedelta(milliseconds=1), self.long_pauses, self.obstacles)
        begin_ms, number, n_visits = _ms(self.start_at), 0, 0
        expected, first_order = pl.DataFrame(schema=VISITORS), _FIRST_ORDER
        while True:
            rng = np.random.default_rng([self.seed, number, 0])
            end_ms = begin_ms + length_ms
            fresh = [
                new_visitors(
                    rng,
                    arrivals(rng, shop, begin_ms, end_ms),
                    shop,
                    which,
                    bots=self.bots,
                    without_session_id=self.without_session_id,
                )
                for which, shop in enumerate(shops)
            ]
            expected = pl.concat([expected, *fresh])
            told: list[Stories] = []
            # Who comes back soon comes back within the same cohort: once more round until nobody is due.
            while (due := expected.filter(pl.col("at_ms") < end_ms)).height:
                story = stories(rng, due, shops, habits, first_order=first_order)
                first_order += int(story.truth["converted"].sum())
                told.append(story)
                expected = pl.concat(
                    [expected.filter(pl.col("at_ms") >= end_ms), coming_back(rng, story.visits, gap_ms=habits.gap_ms)]
                )
            yield end_ms, Backlog.arrived(told, n_visits, [self.seed, number, 1], self.disorder)
            n_visits += sum(story.truth.height for story in told)
            begin_ms, number = end_ms, number + 1

    def _shops(self) -> tuple[Shop, ...]:
        if self.visitors_per_day is None:
            return self.shops
        total = sum(shop.visitors_per_day for shop in self.shops)
        return tuple(replace(shop, visitors_per_day=shop.visitors_per_day / total * self.visitors_per_day) for shop in self.shops)


def simulated(
    seed: int, n_events: int, *, days: float = 2.0, start_at: datetime = datetime(2026, 11, 16, tzinfo=UTC), **settings: Any
) -> Simulated:
    """Whole visits of about so many days that together have `n_events` events or just more; settings are those of Simulator."""
    visitors_per_day = n_events / EVENTS_PER_VISITOR / days
    return Simulator(seed, start_at, **{"visitors_per_day": visitors_per_day} | settings).visits(n_events)


def _ms(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _handed_out(backlog: Backlog) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    return backlog.events.select(EVENTS.names()), backlog.truth.select(TRUTH.names()), backlog.frictions.select(FRICTIONS.names())
