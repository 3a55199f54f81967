"""Service and experience side by side, for every site, journey and owner: scores, verdict, signs, and what was lost; what hurts most comes first.

Frames:  figures (`site`, `journey`, `owner`, `measure`, `n`, `mean`, `median`), readings (`sign`, ..., `n`, `n_hits`), silences (..., `currency`, `n`, `lost_minor`) -> Report
Cases:   no order of the site -> no contact rate | a place of which only a sign or a loss is known -> stands there, with no scores
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import polars as pl

from pipeline.signs import HOLDS, SIGNS, Reading, Sign
from pipeline.verdicts import BY_NAME, EXPERIENCE, SERVICE, SIDES, Figure, Side, VerdictRules, score, verdict


@dataclass(frozen=True, order=True)
class Place:
    """Whose it is."""

    site: str
    journey: str = ""
    """'': the whole site."""
    owner: str = ""
    """'': all of the journey."""

    @property
    def name(self) -> str:
        """In a word or two, within the site."""
        return f"{self.journey} / {self.owner}" if self.owner else self.journey or "the whole site"


@dataclass(frozen=True)
class Standing:
    """How it stands there."""

    place: Place
    figures: Mapping[str, Figure]
    """By name of the measure; what was never measured is left out."""
    readings: tuple[Reading, ...]
    """Of every sign, in order."""
    service: float | None
    """0 to 100; None: not enough data."""
    experience: float | None
    """Likewise."""
    verdict: str
    n_silent: int
    """Visits and documents that were lost in silence."""
    lost_minor: Mapping[str, int]
    """Currency -> money that was at stake in them."""

    def score(self, side: Side) -> float | None:
        """Of one side."""
        return self.service if side == SERVICE else self.experience

    def judged(self, side: Side) -> list[Figure]:
        """Figures that make the score of a side, what costs it most first."""
        found = [each for each in self.figures.values() if each.measure.side == side and each.points is not None]
        return sorted(found, key=lambda each: (each.points or 0.0, each.measure.name))

    @property
    def holding(self) -> list[Reading]:
        """Signs that hold here, the clearest first."""
        found = [each for each in self.readings if each.standing == HOLDS]
        return sorted(found, key=lambda each: (-(each.share or 0) / each.sign.threshold, each.sign.number))


@dataclass(frozen=True)
class Week:
    """One week of one place."""

    monday: date
    figures: Mapping[str, Figure]
    service: float | None
    experience: float | None


@dataclass(frozen=True)
class Report:
    """All of it."""

    since: datetime
    until: datetime
    """Exclusive."""
    rules: VerdictRules
    standings: tuple[Standing, ...]
    """Site by site; in it the whole site first, then journeys, and in each the owners, by what was lost."""
    weeks: Mapping[Place, tuple[Week, ...]] = field(default_factory=dict)

    @property
    def sites(self) -> list[str]:
        """Those that it is about."""
        return list(dict.fromkeys(each.place.site for each in self.standings))

    def of(self, site: str) -> list[Standing]:
        """What there is of a site, in order."""
        return [each for each in self.standings if each.place.site == site]

    def where_most(self, site: str, sign: Sign) -> Standing | None:
        """The owner at whom a sign holds, with most of those; else the one with most of those."""
        found = [
            (reading.standing == HOLDS, reading.n_hits, each)
            for each in self.of(site)
            if each.place.owner
            for reading in each.readings
            if reading.sign.name == sign.name and reading.n_hits
        ]
        return max(found, key=lambda each: each[:2])[2] if found else None


def report(
    since: datetime,
    until: datetime,
    figures: pl.DataFrame,
    readings: pl.DataFrame,
    silences: pl.DataFrame,
    *,
    rules: VerdictRules | None = None,
    signs: tuple[Sign, ...] = SIGNS,
    weeks: pl.DataFrame | None = None,
) -> Report:
    """Make it."""
    rules = rules or VerdictRules()
    measured = _figures(figures, rules)
    read: dict[Place, dict[str, tuple[int, int]]] = defaultdict(dict)
    for row in readings.iter_rows(named=True):
        read[_place(row)][row["sign"]] = (row["n"], row["n_hits"])
    silent: dict[Place, int] = defaultdict(int)
    lost: dict[Place, dict[str, int]] = defaultdict(dict)
    for row in silences.iter_rows(named=True):
        silent[_place(row)] += row["n"]
        if row["currency"] and row["lost_minor"]:
            lost[_place(row)][row["currency"]] = row["lost_minor"]
    found = {}
    for place in {*measured, *read, *silent}:
        of_sides = {side: _score(measured.get(place, {}), side, rules) for side in SIDES}
        found[place] = Standing(
            place=place,
            figures=measured.get(place, {}),
            readings=tuple(Reading(sign, *read[place].get(sign.name, (0, 0))) for sign in signs),
            service=of_sides[SERVICE],
            experience=of_sides[EXPERIENCE],
            verdict=verdict(of_sides[SERVICE], of_sides[EXPERIENCE], rules),
            n_silent=silent[place],
            lost_minor=dict(sorted(lost[place].items())),
        )
    by_week: dict[Place, tuple[Week, ...]] = {}
    if weeks is not None:
        by_week = _weeks(weeks, rules)
    return Report(since, until, rules, tuple(sorted(found.values(), key=lambda each: _order(each, found))), by_week)


def _order(standing: Standing, every: Mapping[Place, Standing]) -> tuple[Any, ...]:
    """What hurts most first, and everything below what it is part of."""
    place = standing.place
    of_journey = every.get(Place(place.site, place.journey))
    return (
        place.site,
        place.journey != "",
        -of_journey.n_silent if of_journey else 0,
        place.journey,
        place.owner != "",
        -standing.n_silent,
        100.0 if standing.experience is None else standing.experience,
        place.owner,
    )


def _place(row: Mapping[str, Any]) -> Place:
    return Place(row["site"], row["journey"], row["owner"])


def _score(figures: Mapping[str, Figure], side: Side, rules: VerdictRules) -> float | None:
    return score((each for each in figures.values() if each.measure.side == side), rules)


def _figures(rows: pl.DataFrame, rules: VerdictRules) -> dict[Place, dict[str, Figure]]:
    measures = {each.name: each for each in rules.measures}
    found: dict[Place, dict[str, Figure]] = defaultdict(dict)
    orders: dict[str, int] = {}
    for row in rows.iter_rows(named=True):
        if row["measure"] == "orders":
            orders[row["site"]] = row["n"]
        elif (measure := measures.get(row["measure"])) is not None:
            n = row["n"]
            value = n if measure.name == "tickets" else row["median"] if measure.statistic == "median" else row["mean"]
            found[_place(row)][measure.name] = Figure(measure, value, n)
    for place, figures in found.items():
        if (n_orders := orders.get(place.site, 0)) and "tickets" in figures:
            figures["contact_rate"] = Figure(measures["contact_rate"], 100 * figures["tickets"].n / n_orders, n_orders)
    order = {name: number for number, name in enumerate(BY_NAME)}
    return {place: dict(sorted(figures.items(), key=lambda each: order[each[0]])) for place, figures in found.items()}


def _weeks(rows: pl.DataFrame, rules: VerdictRules) -> dict[Place, tuple[Week, ...]]:
    found: dict[Place, list[Week]] = defaultdict(list)
    for (monday,), of_week in sorted(rows.partition_by("week", as_dict=True).items()):
        for place, figures in _figures(of_week, rules).items():
            assert isinstance(monday, date)
            found[place].append(Week(monday, figures, _score(figures, SERVICE, rules), _score(figures, EXPERIENCE, rules)))
    return {place: tuple(weeks) for place, weeks in found.items()}
