"""A shop whose events of every family are sent at once, as they would arrive: copies and late ones among them, rubbish in between, under any key and in
any partition. And what the views must show of them: what the folds say by hand.

Of most visitors no clicks are counted, as of those who do not consent: else orders would be rare among clicks.
"""

import random
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import polars as pl

from agents.partitioner import partition_of
from pipeline.encode import encode
from pipeline.events import event_schema
from pipeline.frames import TABLES
from pipeline.simulator.simulator import Simulator
from tests.chaos.figures import IS_SHORT
from tests.chaos.traffic import CLICKS, PARTITIONS, START_AT, Clicks, Record, rubbish, schema_id
from tests.people_by_hand import by_hand
from tests.views import counted, rows

FRAMES = {CLICKS: "events", "order": "orders", "delivery": "deliveries", "ticket": "tickets"}
WAITED = timedelta(days=25)
"""How far time comes after the last of them: much lapses by then, and nobody is forgotten of whom something could still be told."""
VISITORS_PER_DAY = 50 if IS_SHORT else 150
"""So few that weeks go by in a run, and not so many weeks that people are forgotten."""
SLICE = timedelta(hours=12)
COUNTED = 4
"""Of so many visitors the clicks of one are sent."""
RUBBISH = 0.01
N_TOO_LATE = 3
LAST = {
    "order": {"event_type": "order_changed", "order_id": "end"},
    "delivery": {"event_type": "info_received", "order_id": "end", "delivery_id": "end"},
    "ticket": {"event_type": "assigned", "ticket_id": "end"},
}
"""Family -> what shows that time has come to the end."""
OTHERS_AFTER = 3
"""How often in a row something may be sent on about a person: from a ticket to its order, to the visitor, to the customer."""


class Shop(Clicks):
    """All four families."""

    what: ClassVar = "all families"
    partitions: ClassVar[dict[str, int]] = {CLICKS: PARTITIONS, "order": 2, "delivery": 2, "ticket": 2}
    passed: ClassVar[tuple[str, ...]] = ("commerce", *["people"] * (1 + OTHERS_AFTER))
    behind: ClassVar[dict[str, int]] = {"fulfilment": 1, "journeys": PARTITIONS}
    settings: ClassVar = ""

    def records(self):
        """Records without end."""
        dice = random.Random(self.seed)
        for chapter in Simulator(self.seed, START_AT, visitors_per_day=VISITORS_PER_DAY).chapters(SLICE):
            for record in arriving(chapter):
                yield record
                if dice.random() < RUBBISH:
                    for _ in range(dice.randint(1, 5)):
                        yield replace(record, value=rubbish(record.value, dice), event=None)

    def endings(self):
        """Events that show that time has come to the end; then some that lie before anything that is remembered by then."""
        end_at = max(event["record_at"] for events in self.log.events.values() for event in events) + WAITED
        yield [sent(family, event) for family in self.partitions for event in self.last_of(family, end_at)]
        first = {family: self.log.events[family][:N_TOO_LATE] for family in self.partitions}
        yield [sent(family, too_late(event)) for family, events in first.items() for event in events]

    def last_of(self, family, end_at):
        """One for each partition."""
        at = {"site": "atlantic", "event_at": end_at, "record_at": end_at}
        names = {partition_of(name.encode(), self.partitions[family]): name for name in (f"last-{number}" for number in range(100))}
        click = {"event_type": "page_view", "page": "/", "page_type": "home"}
        return [{**at, "event_id": name, **(LAST.get(family) or {**click, "visitor_id": name})} for name in names.values()]

    def fates(self, settings):
        """(family, partition, fate) -> records; and where those lie that became dead letters."""
        found, letters = super().fates(settings)
        for family in LAST:
            seen = set()
            for event in self.log.events[family]:
                what = "too_late" if is_too_late(event) else "duplicate" if named(event) in seen else "applied"
                seen.add(named(event))
                found[family, event["partition"], what] += 1
                if what == "too_late":
                    letters.add((family, event["partition"], event["offset"]))
        return found, letters

    def tables(self, settings):
        """What the views must show. The folds by hand have one partition each; counts are compared summed over all."""
        shown = rows(counted(by_hand(settings, {family: self.in_time(family) for family in self.partitions})))
        none = {"dead_letters", "alerts"}  # for an alert the run is too short
        assert not [name for name in TABLES if name not in none and not shown.get(name)], "every other table has rows"
        return shown

    def in_time(self, family):
        """Events in order of arrival. Frames: -> event_schema and `record_at`"""
        events = sorted(self.log.events[family], key=lambda event: event["record_at"])
        schema = {**event_schema(family), "record_at": event_schema(family)["event_at"]}
        return pl.DataFrame(
            [{name: event.get(name) for name in schema} for event in events if not is_too_late(event)], schema=schema
        )


def arriving(chapter):
    """Records of a chapter of the simulator in order of arrival."""
    found = []
    for family, name in FRAMES.items():
        rows = getattr(chapter, name)
        if family == CLICKS:
            rows = rows.filter(pl.col("visitor_id").hash(seed=1) % COUNTED == 0)
        values = encode(rows.select(event_schema(family).names()), family, schema_id(family))
        for row, value in zip(rows.to_dicts(), values, strict=True):
            found.append(lying(family, {name: said for name, said in row.items() if said is not None}, value))
    return sorted(found, key=lambda record: record.record_at)


def lying(family, event, value):
    """Clicks lie where their visitor is; all others anywhere, but copies beside what they are of."""
    key = event["visitor_id" if family == CLICKS else "event_id"].encode()
    return Record(partition_of(key, Shop.partitions[family]), key, value, event["record_at"], event, family)


def sent(family, event):
    """A record of an event that no simulator made."""
    row = {name: event.get(name) for name in event_schema(family).names()}
    (value,) = encode(pl.DataFrame([row], schema=event_schema(family)), family, schema_id(family))
    return lying(family, event, value)


def too_late(event):
    """The same once more, as another event, when nobody remembers its time."""
    known = {name: said for name, said in event.items() if name not in {"partition", "offset"}}
    return {**known, "event_id": f"too-late-{event['event_id']}"}


def is_too_late(event):
    return event["event_id"].startswith("too-late-")


def named(event):
    return event["site"], event["event_id"]
