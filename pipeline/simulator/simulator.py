"""The streams of a shop, seeded and endless: clicks, orders, deliveries, tickets; with the truth beside them.

The same seed gives the same events whatever the slices are long: time is made in cohorts of a length that depends on the volume alone, each
with a generator of its own, and slices only cut what the cohorts say.

Frames:  -> backlog.SHAPES
Time:    simulated; nothing reads a clock. Slices are cut by `record_at`
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from pipeline.simulator.aftermath import Aftermath, aftermath
from pipeline.simulator.arrivals import DAY_MS, arrivals
from pipeline.simulator.backlog import OF_VISITS, SHAPES, Ahead, Backlog, Queue, due, times_ms
from pipeline.simulator.decisions import times
from pipeline.simulator.disorder import Disorder
from pipeline.simulator.draws import Ints
from pipeline.simulator.obstacles import OBSTACLES, VAGUE, Obstacle
from pipeline.simulator.scenarios import CALM, Scenario, Weather
from pipeline.simulator.shops import SHOPS, Shop
from pipeline.simulator.stories import Habits, Stories, stories
from pipeline.simulator.visitors import VISITORS, coming_back, new_visitors

EVENTS_PER_VISITOR = 40
"""About how many events one new visitor makes, all visits together."""
_VISITORS_PER_COHORT = 2_000
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
    orders: pl.DataFrame = field(default_factory=lambda: _empty("orders"))
    """Events of the other three families, in order of arrival."""
    deliveries: pl.DataFrame = field(default_factory=lambda: _empty("deliveries"))
    tickets: pl.DataFrame = field(default_factory=lambda: _empty("tickets"))
    cases: pl.DataFrame = field(default_factory=lambda: _empty("cases"))
    """case_truth.CASES of what is over; the next three likewise."""
    incidents: pl.DataFrame = field(default_factory=lambda: _empty("incidents"))
    contacts: pl.DataFrame = field(default_factory=lambda: _empty("contacts"))
    customers: pl.DataFrame = field(default_factory=lambda: _empty("customers"))


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
    vague: float = VAGUE
    """Of what is planted on a page, the share that is drawn across the borders where products differ: anybody may call it friction or not."""
    scenario: Scenario = CALM
    """What goes wrong for everybody for some hours of every day."""
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
        if not all(0 <= share <= 1 for share in (self.bots, self.without_session_id, self.long_pauses, self.vague)):
            message = "bots, without_session_id, long_pauses and vague are shares: between 0 and 1"
            raise ValueError(message)

    @property
    def events_per_day(self) -> float:
        """About how many events an average day has."""
        return EVENTS_PER_VISITOR * sum(shop.visitors_per_day for shop in self._shops())

    def slices(self, every: timedelta, *, n_events: int | None = None) -> Iterator[pl.DataFrame]:
        """The events of one stretch of arrival time after the other, empty ones too; for ever, or up to exactly `n_events` rows."""
        for chapter in self.chapters(every, n_events=n_events):
            yield chapter.events

    def chapters(self, every: timedelta, *, n_events: int | None = None, whole: bool = False) -> Iterator[Simulated]:
        """The slices with their truth, and the events of the other families that arrived meanwhile.

        A visit's truth is told in the slice in which the last of it arrives, that of a case when it is over. `n_events` counts the clickstream.
        `whole`: what follows from the visits that were told is told to its end, day by day, after the last of these events.
        """
        settled = self._settled(n_events, whole=whole)
        queues = {name: Queue(pl.DataFrame(schema=shape)) for name, shape in SHAPES.items()}
        told_until = until = _ms(self.start_at)
        step = max(1, every // timedelta(milliseconds=1))
        n_left, is_told = -1 if n_events is None else n_events, False
        while True:
            until += step
            while (told_until < until or (whole and not n_left)) and not is_told:
                told = next(settled, None)
                if told is None:
                    is_told, step = True, max(step, DAY_MS) if whole else step
                    break
                told_until, ready = told
                for name, frame in ready.handed_out().items():
                    queues[name].put(frame, times_ms(ready.frames[name], due(name)))
            taken = Simulated(**{name: queue.take(until) for name, queue in queues.items()})
            yield taken
            n_left -= taken.events.height
            if not n_left and is_told >= whole and not any(queues.values()):
                return

    def visits(self, n_events: int) -> Simulated:
        """The first visits, in order of their beginning, that together have `n_events` events or just more, whole, with all that follows; copies come on top."""
        told, n = [Backlog.nothing()], 0
        cohorts = self._cohorts()
        while n < n_events:
            told.append(next(cohorts)[1])
            n += int(told[-1].frames["truth"]["n_events"].sum())
        return Simulated(**Backlog.all_of(told).whole(n_events).handed_out())

    def _settled(self, n_events: int | None, *, whole: bool) -> Iterator[tuple[int, Backlog]]:
        """What has arrived for good by one time after the other, up to so many events."""
        ahead, visits = Ahead(), []
        for until_ms, more in self._cohorts():
            ahead.put(more, until_ms)
            ready = ahead.take(until_ms)
            if n_events is None:
                yield until_ms, ready
                continue
            ready, left = ready.first(n_events)
            n_events -= ready.frames["events"].height
            visits.append(ready.frames["truth"].select("visit"))
            yield until_ms, ready
            if not n_events:
                if whole:
                    rest = Backlog.all_of((left, ahead.rest())).of_visits(pl.concat(visits)).frames
                    nothing = Backlog.nothing().frames
                    yield until_ms, Backlog({name: nothing[name] if name in OF_VISITS else frame for name, frame in rest.items()})
                return

    def _cohorts(self) -> Iterator[tuple[int, Backlog]]:
        """All that begins in one stretch of time after the other, and the time before which nothing can arrive any more."""
        shops = self._shops()
        per_day = max(sum(shop.visitors_per_day for shop in shops), 1e-9)
        length_ms = int(np.clip(_VISITORS_PER_COHORT / per_day * DAY_MS, _SHORTEST_MS, _LONGEST_MS))
        habits = Habits(
            self.session_gap // timedelta(milliseconds=1),
            self.long_pauses,
            self.obstacles,
            self.vague,
            Weather(self.scenario, _ms(self.start_at)),
        )
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
            while (due_now := expected.filter(pl.col("at_ms") < end_ms)).height:
                story = stories(rng, due_now, shops, habits, first_order=first_order)
                first_order += int(story.truth["converted"].sum())
                back, story = _back(rng, story, gap_ms=habits.gap_ms)
                told.append(story)
                expected = pl.concat([expected.filter(pl.col("at_ms") >= end_ms), back])
            if told:
                whole = Stories.all_of(told)
                after = aftermath(rng, whole, habits.weather)
                back, whole = _back_after(rng, whole, after, gap_ms=habits.gap_ms, end_ms=end_ms)
                expected = pl.concat([expected, back])
                yield end_ms, Backlog.arrived(whole, after, n_visits, [self.seed, number, 1], self.disorder)
                n_visits += whole.truth.height
            else:
                yield end_ms, Backlog.nothing()
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


def _back(rng: np.random.Generator, story: Stories, *, gap_ms: int) -> tuple[pl.DataFrame, Stories]:
    """Who comes back after a visit from which nothing follows, and the story that knows it."""
    plain = ~story.visits["has_case"]
    n = int(plain.sum())
    back, next_ms = coming_back(
        rng, story.visits.filter(plain), gap_ms=gap_ms, next_ms=np.full(n, -1), has_left=np.zeros(n, dtype=bool)
    )
    return back, _knowing(story, plain, next_ms)


def _back_after(
    rng: np.random.Generator, story: Stories, after: Aftermath, *, gap_ms: int, end_ms: int
) -> tuple[pl.DataFrame, Stories]:
    """Who comes back after an order or an errand, none before this time, and the story that knows it, and who wrote to support."""
    has_case = story.visits["has_case"]
    which = has_case.to_numpy()
    visits = story.visits.with_columns(pl.col("n_orders") + after.n_orders, pl.col("n_contacts") + after.n_contacts)
    back, next_ms = coming_back(
        rng,
        visits.filter(has_case),
        gap_ms=gap_ms,
        next_ms=after.next_ms[which],
        has_left=after.has_left[which],
        not_before_ms=end_ms,
    )
    known = _knowing(story, has_case, next_ms)
    return back, replace(known, truth=known.truth.with_columns(after.ticket_id.alias("ticket_id")))


def _knowing(story: Stories, which: pl.Series, next_ms: Ints) -> Stories:
    """The story in which these visits know when the next one begins."""
    came = story.truth["came_back_at"].scatter(which.arg_true(), times(next_ms))
    return replace(story, truth=story.truth.with_columns(came.alias("came_back_at")))


def _empty(name: str) -> pl.DataFrame:
    return pl.DataFrame(schema=SHAPES[name])
