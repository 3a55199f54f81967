"""Simulated shops, each with a shock of its own, through all folds: when each is told, as what, and because of what.

Events of all four families come as they arrive, late ones and copies among them. The shops share the folds, as they would share a broker.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from agents.feed import FRAMES
from agents.replay import Fold
from agents.replay_command import folds, people
from agents.replayed_people import ReplayedPeople
from agents.replayed_spikes import ReplayedSpikes
from agents.settings import Settings
from pipeline.commerce import COMMERCE_FAMILY, together
from pipeline.events import POSITION, event_schema
from pipeline.frames import WATERMARKS
from pipeline.simulator.obstacles import OBSTACLES, Obstacle
from pipeline.simulator.scenarios import Scenario, Shock
from pipeline.simulator.shops import SHOPS
from pipeline.simulator.simulator import Simulated, Simulator
from pipeline.spikes import SpikesFold

OPENED = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Tells:
    """As what a shock is to be told."""

    what: tuple[str, ...]
    """Of the alerts: see `what`."""
    segment: str
    cause: str
    """The right ones; a cause that is '' is not asked for."""


@dataclass
class ShockedShop:
    """One shop, what goes wrong in it, and as what that is to be told."""

    visitors_per_day: float
    shock: Shock
    tells: Mapping[str, Tells]
    """By the name under which it is shown."""
    slot: str = "pages"
    """Which of a scenario's."""
    obstacles: tuple[Obstacle, ...] = OBSTACLES
    alerts: list[Mapping[str, Any]] = field(default_factory=list)
    """What opened, in order, with `told_at`."""

    @property
    def begins_at(self) -> datetime:
        """When it begins to go wrong."""
        return OPENED + timedelta(milliseconds=self.shock.begins_ms)

    @property
    def false(self) -> list[Mapping[str, Any]]:
        """Alerts that opened before anything was wrong."""
        return [row for row in self.alerts if row["opened_at"] <= self.begins_at]

    def first(self, tells: Tells) -> Mapping[str, Any] | None:
        """The first alert of the shock."""
        return next((row for row in self.alerts if row["opened_at"] > self.begins_at and what(row) in tells.what), None)

    def simulator(self, seed: int, site: str) -> Simulator:
        """Tells the shop."""
        shops = (replace(SHOPS[0], site=site),)
        scenario = Scenario(self.shock.name, **{self.slot: self.shock})
        return Simulator(seed, OPENED, shops, self.visitors_per_day, obstacles=self.obstacles, scenario=scenario)


def what(row: Mapping[str, Any]) -> str:
    """What an alert is about: its rule, and of which expectation or signal."""
    return f"{row['rule']} {row['expectation'] or row['signal'] or row['step']}"


class Folded:
    """All folds, on the way through what the shops tell."""

    def __init__(self, settings: Settings, *, only_visits: bool = False) -> None:
        """Begin with nothing. `only_visits`: nobody folds orders, and nobody joins what people do."""
        its = folds(settings)
        self._folds: tuple[Fold, ...] = its[:1] if only_visits else its
        self._states = [fold.empty() for fold in self._folds]
        self._reached = [pl.DataFrame({"partition": [0], "watermark": [None]}, schema=WATERMARKS) for _ in self._folds]
        self._people = None if only_visits else ReplayedPeople(people(settings))
        self._spikes = ReplayedSpikes(SpikesFold(settings.spike_rules()))
        self._offset = 0

    def take(self, told: Sequence[Simulated]) -> list[Mapping[str, Any]]:
        """What is said of alerts after these chapters."""
        events = {family: self._log(family, [getattr(each, frame) for each in told]) for family, frame in FRAMES.items()}
        passed = []
        for at, fold in enumerate(self._folds):
            its = together(events) if fold.family == COMMERCE_FAMILY else events[fold.family]
            done = fold.step(self._states[at], its, self._reached[at])
            self._states[at], self._reached[at] = done.state, done.watermarks
            passed += done.passed
        reached = [marks["watermark"][0] for marks in self._reached]
        of_visits = reached[0]
        if self._people is not None:
            for done in self._people.take(events, passed, reached):
                passed += done.passed
            reached.append(self._people.reached)
        slowest = min((at for at in reached if at is not None), default=None)
        step = self._spikes.take(passed, slowest, of_visits)
        return [row for rows in step.tables.values() for row in rows.iter_rows(named=True)]

    def _log(self, family: str, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        both = pl.concat(frames).sort("record_at", maintain_order=True)
        places = pl.lit(0, pl.Int32).alias("partition"), (pl.int_range(pl.len(), dtype=pl.Int64) + self._offset).alias("offset")
        self._offset += both.height
        return both.select(*event_schema(family).names(), *places, "record_at").select(*event_schema(family).names(), *POSITION)


def tell(
    seed: int,
    shops: Sequence[ShockedShop],
    settings: Settings,
    *,
    calm: timedelta,
    until: timedelta,
    every: timedelta,
    calm_every: timedelta = timedelta(hours=6),
    only_visits: bool = False,
) -> int:
    """Let the shops be open so long, and note their alerts with each. Returns how many events they told.

    Args:
        seed: Of all that happens.
        shops: Sites s0, s1, ...
        settings: Of the folds.
        calm: So long is folded in great pieces of `calm_every`: nothing goes wrong before it is over.
        until: How long.
        every: How often is looked afterwards.
        calm_every: A multiple of `every`.
        only_visits: As Folded.
    """
    streams = [shop.simulator(seed * 1_000 + number, f"s{number}").chapters(every) for number, shop in enumerate(shops)]
    folded, n, waiting, known = Folded(settings, only_visits=only_visits), 0, list[Simulated](), set[str]()
    for number in itertools.count(1):
        now = number * every
        waiting += [next(stream) for stream in streams]
        if now <= calm and now % calm_every:
            continue
        n += sum(getattr(each, frame).height for each in waiting for frame in FRAMES.values())
        for row in folded.take(waiting):
            if row["alert_id"] not in known:
                known.add(row["alert_id"])
                shops[int(row["site"][1:])].alerts.append({**row, "told_at": OPENED + now})
        waiting = []
        if now >= until:
            break
    return n
