"""All stories of tests/scenarios/people at once, through all folds: clicks, orders and parcels, and the fold by person behind them.

Each story has shops of its own, so that they do not know of each other, and one run of few steps tells them all. Two events of one story never share a step.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from pipeline.fulfilment import FulfilmentFold
from pipeline.journeys import JourneysFold
from pipeline.keys import contact_keys, person_links
from pipeline.passed import LINK, PEOPLE, Passed
from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from tests import journeys_oracle
from tests.builders import Event, clock, frame, watermarks
from tests.commerce_strategies import RULES as CASE_RULES
from tests.people_strategies import RULES
from tests.people_topic import PeopleTopic
from tests.properties.test_recovery import through_arrow

FOLDER = Path(__file__).parent / "scenarios" / "people"
STORIES: list[dict[str, Any]] = [
    scenario for path in sorted(FOLDER.glob("*.toml")) for scenario in tomllib.loads(path.read_text())["scenario"]
]
SITE, OTHER_SITE = "shop", "outlet"
LATENESS = timedelta(minutes=10)
_STANDING: Mapping[str, Event] = {
    "clickstream": {"visitor_id": "v1"},
    "order": {"order_id": "1001"},
    "delivery": {"delivery_id": "p1"},
    "ticket": {"ticket_id": "T1"},
}
SURVEYS = ("nps_answered", "csat_answered", "ces_answered")


def events_of(number: int) -> Iterator[tuple[datetime, Event]]:
    """When each event of a story arrives, and what it is."""
    for place, said in enumerate(STORIES[number]["events"]):
        fields = {name: clock(value) if name.endswith("_at") else value for name, value in said.items()}
        at, arrives = clock(fields.pop("at")), fields.pop("arrives", None)
        family = next(name for name in ("click", "order", "delivery", "ticket") if name in fields)
        event_type = fields.pop(family)
        family = "clickstream" if family == "click" else family
        standing = {} if event_type in SURVEYS else _STANDING[family]
        event = {**standing, **fields, "site": site_of(number, fields.get("site", SITE)), "partition": 0, "family": family}
        arrived = at if arrives is None else clock(arrives)
        yield arrived, {**event, "event_type": event_type, "event_at": at, "event_id": f"{number}-{place}", "record_at": arrived}


def site_of(number: int, site: str) -> str:
    """A story's own shop."""
    return f"{site} {number}"


@dataclass
class Shops:
    """All folds at work, and what they have passed on to people."""

    people: PeopleTopic
    is_restored: bool

    def __post_init__(self) -> None:
        self.folds = (SessionsFold(SessionRules(tells_people=True)), FulfilmentFold(replace(CASE_RULES, tells_people=True)))
        self.states: list[Any] = [fold.empty() for fold in self.folds]
        self.log: list[Event] = []
        self.offset = 0

    def take(self, events: Sequence[Event]) -> None:
        """One step of everybody over these events."""
        placed = [{**event, "offset": self.offset + place} for place, event in enumerate(events)]
        self.offset += len(placed)
        by_family = {
            family: [{n: v for n, v in e.items() if n != "family"} for e in placed if e["family"] == family]
            for family in ("clickstream", "order", "delivery", "ticket")
        }
        passed = [*self._intake(by_family)]
        passed += self._step(0, frame(by_family["clickstream"]))
        commerce = [event for event in placed if event["family"] in ("order", "delivery")]
        passed += self._step(1, frame(commerce, "commerce"))
        self.tell(passed)
        if self.is_restored:
            self.states = [restored(fold, state, 1) for fold, state in zip(self.folds, self.states, strict=True)]
            self.people.state = restored(self.people.fold, self.people.state, self.people.n_partitions)

    def time(self, reached: datetime) -> None:
        """Time comes to everybody, those in front first."""
        known = watermarks({0: reached})
        passed = [each for place, fold in enumerate(self.folds) for each in self._step(place, frame([], fold.family), known)]
        self.tell(passed)
        self.people.time(reached)
        self.people.deliver(all_of_it=True)

    def tell(self, passed: Iterable[Passed]) -> None:
        """What was passed on comes to people."""
        rows = self.people.heard([each for each in passed if each.to == PEOPLE and each.rows.height])
        if rows.height:
            self.log += rows.to_dicts()
            self.people.take(rows)
            self.people.deliver(all_of_it=self.people.dice is None)

    def _step(self, place: int, batch: pl.DataFrame, known: pl.DataFrame | None = None) -> tuple[Passed, ...]:
        fold: Any = self.folds[place]
        before = watermarks({0: self.people.reached}) if known is None else known
        step = fold.step(self.states[place], batch, before)
        self.states[place] = step.state
        passed: tuple[Passed, ...] = step.passed
        return passed

    def _intake(self, by_family: Mapping[str, Sequence[Event]]) -> Iterator[Passed]:
        tickets = frame(by_family["ticket"], "ticket")
        origin = {"origin_topic": pl.lit("tickets"), "origin_partition": pl.col("partition"), "origin_offset": pl.col("offset")}
        yield Passed(PEOPLE, "ticket", tickets.with_columns(contact_keys(tickets), **origin))
        for family in ("order", "delivery", "ticket"):
            yield Passed(PEOPLE, LINK, person_links(frame(by_family[family], family), family))


def restored(fold: Any, state: Any, n_partitions: int) -> Any:
    """What another worker remembers who goes on from a checkpoint."""
    found = fold.empty()
    for at in range(n_partitions):
        found = found.restored(at, {piece.name: through_arrow(piece.frame()) for piece in state.pieces(at)})
    return found


@dataclass(frozen=True)
class Told:
    """What the views and the oracle show of a story when it ends."""

    view: dict[str, list[Event]]
    oracle: dict[str, list[Event]]


@cache
def told(way: str) -> list[Told]:
    """All stories, in one of two ways: all events of each at once on one partition; or event by event on three, everybody restored after each step."""
    in_pieces = way == "in pieces"
    n = 3 if in_pieces else 1
    shops = Shops(PeopleTopic(JourneysFold(RULES), n, Random(7) if in_pieces else None), is_restored=in_pieces)
    arriving = sorted((each for number in range(len(STORIES)) for each in events_of(number)), key=lambda each: each[0])
    if not in_pieces:
        shops.take([event for _, event in arriving])
    found: dict[int, Told] = {}
    ends = sorted({clock(scenario["until"]) for scenario in STORIES})
    for until in ends:
        while in_pieces and arriving and arriving[0][0] <= until:
            now = together(arriving, until)
            shops.time(max(now[0][0] - LATENESS, shops.people.reached or now[0][0] - LATENESS))
            shops.take([event for _, event in now])
            del arriving[: len(now)]
        shops.time(until)
        view = {name: rows.to_dicts() for name, rows in shops.people.now().items()}
        right = journeys_oracle.tables(shops.log, RULES, until)
        for number, scenario in enumerate(STORIES):
            if clock(scenario["until"]) == until:
                found[number] = Told(own(number, view), own(number, right))
    return [found[number] for number in range(len(STORIES))]


def together(arriving: Sequence[tuple[datetime, Event]], until: datetime) -> list[tuple[datetime, Event]]:
    """The next events, none of a story that has one among them."""
    found: list[tuple[datetime, Event]] = []
    stories = set[str]()
    for at, event in arriving:
        story = event["event_id"].split("-")[0]
        if at > until or story in stories:
            break
        stories.add(story)
        found.append((at, event))
    return found


def own(number: int, tables: Mapping[str, Sequence[Event]]) -> dict[str, list[Event]]:
    """The rows of one story, of shops as it calls them."""
    names = {site_of(number, site): site for site in (SITE, OTHER_SITE)}
    return {
        name: [{**row, "site": names[row["site"]]} for row in rows if row["site"] in names]
        for name, rows in tables.items()
        if name in journeys_oracle.TABLES
    }
