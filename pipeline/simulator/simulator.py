"""The stream of a shop's clicks, seeded and endless, with the truth beside it.

The same seed gives the same events whatever the slices are long: time is made in cohorts of a length that depends on the volume alone, each
with a generator of its own, and slices only cut what the cohorts say.

Frames:  -> contract.EVENTS, truth.TRUTH, truth.FRICTIONS
Time:    simulated; nothing reads a clock. Slices are cut by `record_at`
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import DAY_MS, arrivals
from pipeline.simulator.contract import EVENTS
from pipeline.simulator.disorder import Disorder, disordered
from pipeline.simulator.friction import OBSTACLES, Obstacle
from pipeline.simulator.shops import SHOPS, Shop
from pipeline.simulator.stories import Habits, Stories, stories
from pipeline.simulator.truth import FRICTIONS, TRUTH
from pipeline.simulator.visitors import VISITORS, coming_back, new_visitors

EVENTS_PER_VISITOR = 40
"""About how many events one new visitor makes, all visits together."""
_VISITORS_PER_COHORT = 500
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
    """Silence that ends a visit: shorter than it within a visit, longer between two; at least 5 min."""
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
            message = "seed must not be negative, start_at needs a time zone, session_gap is at least 5 min, shops must not be empty"
            raise ValueError(message)
        if not all(0 <= share <= 1 for share in (self.bots, self.without_session_id, self.long_pauses)):
            message = "bots, without_session_id and long_pauses are shares: between 0 and 1"
            raise ValueError(message)

    def slices(self, every: timedelta, *, n_events: int | None = None) -> Iterator[pl.DataFrame]:
        """The events of one stretch of arrival time after the other, empty ones too; for ever, or up to exactly `n_events` rows."""
        for chapter in self.chapters(every, n_events=n_events):
            yield chapter.events

    def chapters(self, every: timedelta, *, n_events: int | None = None) -> Iterator[Simulated]:
        """The slices with their truth: a visit's is told in the slice in which the last of it arrives."""
        cohorts = self._cohorts()
        ahead, told_until = _Ahead.nothing(), _ms(self.start_at)
        until, left = told_until, n_events
        while left is None or left > 0:
            until += max(1, int(every / timedelta(milliseconds=1)))
            while told_until < until:
                told_until, more = next(cohorts)
                ahead = ahead.with_more(more)
            now, ahead = ahead.split(until)
            if left is not None:
                now, _ = now.first(left)
                left -= now.events.height
            yield now.simulated()

    def visits(self, n_events: int) -> Simulated:
        """The first visits, in order of their beginning, that together have `n_events` events or just more, whole; copies come on top."""
        ahead, n = _Ahead.nothing(), 0
        cohorts = self._cohorts()
        while n < n_events:
            _, more = next(cohorts)
            ahead = ahead.with_more(more)
            n = int(ahead.truth["n_events"].sum())
        return ahead.whole(n_events).simulated()

    def _cohorts(self) -> Iterator[tuple[int, "_Ahead"]]:
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
                    rng, arrivals(rng, shop, begin_ms, end_ms), shop, which, bots=self.bots, without_session_id=self.without_session_id
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
            yield end_ms, _Ahead.of(told, n_visits, [self.seed, number, 1], self.disorder)
            n_visits += sum(story.truth.height for story in told)
            begin_ms, number = end_ms, number + 1

    def _shops(self) -> tuple[Shop, ...]:
        if self.visitors_per_day is None:
            return self.shops
        total = sum(shop.visitors_per_day for shop in self.shops)
        return tuple(replace(shop, visitors_per_day=shop.visitors_per_day / total * self.visitors_per_day) for shop in self.shops)


def simulated(
    seed: int, n_events: int, *, days: float = 2.0, start_at: datetime = datetime(2026, 11, 16, tzinfo=UTC), **settings: object
) -> Simulated:
    """Whole visits of about so many days that together have `n_events` events or just more; settings are those of Simulator."""
    visitors_per_day = n_events / EVENTS_PER_VISITOR / days
    return Simulator(seed, start_at, **{"visitors_per_day": visitors_per_day, **settings}).visits(n_events)


@dataclass(frozen=True)
class _Ahead:
    """What is told but not handed out yet; the frames have `visit` (a running number) and the last two `settled_at`."""

    events: pl.DataFrame
    truth: pl.DataFrame
    frictions: pl.DataFrame

    @classmethod
    def nothing(cls) -> "_Ahead":
        settled = {"visit": pl.Int64, "settled_at": EVENTS["record_at"]}
        return cls(
            pl.DataFrame(schema={"visit": pl.Int64, **EVENTS}),
            pl.DataFrame(schema={**TRUTH, **settled}),
            pl.DataFrame(schema={**FRICTIONS, **settled}),
        )

    @classmethod
    def of(cls, told: list[Stories], n_visits: int, seed: list[int], disorder: Disorder) -> "_Ahead":
        """One cohort, its visits numbered from `n_visits` on, in the order in which it arrives."""
        if not told:
            return cls.nothing()
        events, truths = [], []
        for story in told:
            events.append(story.events.with_columns(pl.col("visit") + n_visits))
            truths.append(story.truth.with_columns((pl.int_range(pl.len()) + n_visits).alias("visit")))
            n_visits += story.truth.height
        arrived = disordered(pl.concat(events), seed, disorder)
        settled = arrived.group_by("visit").agg(pl.col("record_at").max().alias("settled_at"))
        truth = pl.concat(truths).join(settled, on="visit", how="left", maintain_order="left")
        frictions = pl.concat([story.frictions for story in told]).join(
            truth.select("visit_id", "visit", "settled_at"), on="visit_id", how="left", maintain_order="left"
        )
        return cls(arrived, truth.sort("settled_at", maintain_order=True), frictions.sort("settled_at", maintain_order=True))

    def with_more(self, more: "_Ahead") -> "_Ahead":
        """Both, in order of arrival: of two at the same time the older one is first."""
        return _Ahead(
            pl.concat([self.events, more.events]).sort("record_at", maintain_order=True),
            pl.concat([self.truth, more.truth]).sort("settled_at", maintain_order=True),
            pl.concat([self.frictions, more.frictions]).sort("settled_at", maintain_order=True),
        )

    def split(self, until_ms: int) -> tuple["_Ahead", "_Ahead"]:
        """What has arrived before this time, and the rest."""
        until = pl.lit(until_ms).cast(EVENTS["record_at"])
        parts = []
        for frame, column in ((self.events, "record_at"), (self.truth, "settled_at"), (self.frictions, "settled_at")):
            n = frame.select(pl.col(column).search_sorted(until)).item() if frame.height else 0
            parts.append((frame[:n], frame[n:]))
        return _Ahead(*(now for now, _ in parts)), _Ahead(*(later for _, later in parts))

    def first(self, n: int) -> tuple["_Ahead", "_Ahead"]:
        """At most n events, and the visits that are whole with them."""
        if self.events.height <= n:
            return self, _Ahead.nothing()
        return replace(self.split(_ms(self.events["record_at"][n]))[0], events=self.events[:n]), self

    def whole(self, n_events: int) -> "_Ahead":
        """The first visits that together have so many events."""
        first = self.truth.sort("started_at", "visit").filter(pl.col("n_events").cum_sum() - pl.col("n_events") < n_events)
        numbers = first.select("visit")
        return _Ahead(*(frame.join(numbers, on="visit", how="semi", maintain_order="left") for frame in (self.events, first, self.frictions)))

    def simulated(self) -> Simulated:
        """As handed out."""
        return Simulated(
            self.events.select(EVENTS.names()), self.truth.select(TRUTH.names()), self.frictions.select(FRICTIONS.names())
        )


def _ms(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
