"""What a chaos run sends: simulated clicks without end, late ones and copies among them, rubbish and events of hours ago in between. And what
the views must show of what was sent.

The same seed says the same records in the same order; how many of them are sent depends on how long the faults take.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import ClassVar

from agents.partitioner import partition_of
from agents.settings import Settings
from pipeline.encode import encode
from pipeline.events import event_schema
from pipeline.simulator.simulator import Simulator
from schemas.contracts import local_registry
from tests import oracle
from tests.builders import MONDAY, Event, frame, view
from tests.session_oracle import verdicts

PARTITIONS = 3
"""One for each of three workers, and few, so that the state of each is more than one chunk."""
START_AT = MONDAY + timedelta(hours=9)
THE_END = START_AT + timedelta(days=20)
"""A last event in each partition shows that every visit has ended."""
VISITORS_PER_DAY = 60_000
"""So many that most visits are open at the same time."""
SLICE = timedelta(minutes=2)
RUBBISH, FROM_LONG_AGO = 0.01, 0.005
"""Share of records after which something unusable comes, and something hours late."""
HOURS_LATE = timedelta(hours=5)


CLICKS = "clickstream"


@cache
def schema_id(family: str = CLICKS) -> int:
    """The id of the contract of these events that ships with Ebbtide."""
    (found,) = (number for number, (of, _) in local_registry().items() if of == family)
    return found


@dataclass(frozen=True)
class Record:
    """What is sent: bytes, and the event that they are, if they are one."""

    partition: int
    key: bytes
    value: bytes | None
    record_at: datetime
    event: Event | None
    family: str = CLICKS


def encoded(events: list[Event]) -> list[bytes]:
    """Events as they lie on a topic."""
    columns = event_schema("clickstream").names()
    return encode(frame(events).select(columns), "clickstream", schema_id())


def records(seed: int) -> Iterator[Record]:
    """Records without end."""
    shop, dice = Simulator(seed, START_AT, visitors_per_day=VISITORS_PER_DAY), random.Random(seed)
    n = 0
    for rows in shop.slices(SLICE):
        values = encode(rows.select(event_schema("clickstream").names()), "clickstream", schema_id())
        for row, value in zip(rows.to_dicts(), values, strict=True):
            n += 1
            event = {name: said for name, said in row.items() if said is not None}
            key = event["visitor_id"].encode()
            sound = Record(partition_of(key, PARTITIONS), key, value, event["record_at"], event)
            yield sound
            if dice.random() < RUBBISH:
                for _ in range(dice.randint(1, 20)):
                    yield replace(sound, value=rubbish(value, dice), event=None)
            if dice.random() < FROM_LONG_AGO and n > 1_000:
                late = {**event, "event_id": f"late-{n}", "event_at": event["event_at"] - HOURS_LATE}
                yield replace(sound, value=encoded([late])[0], event=late)


def rubbish(sound: bytes, dice: random.Random) -> bytes | None:
    """What nobody can take for an event."""
    return dice.choice([
        None,
        b"",
        sound[: dice.randint(0, len(sound) - 1)],
        sound + b"\0" * dice.randint(1, 9),
        dice.randbytes(dice.randint(1, 300)) + b"\xff",
        b"\0\0\0\x7f\xff" + sound[5:],
    ])  # fmt: skip


def last_ones() -> list[Record]:
    """One event for each partition, days later."""
    at = THE_END
    visitors = {partition_of(name.encode(), PARTITIONS): name for name in (f"last-{number}" for number in range(100))}
    events = [view(at=at, site="atlantic", visitor_id=visitors[partition], record_at=at) for partition in range(PARTITIONS)]
    return [
        Record(partition, event["visitor_id"].encode(), value, at, event)
        for partition, (event, value) in enumerate(zip(events, encoded(events), strict=True))
    ]


@dataclass
class Log:
    """Everything that was sent, as it lies on the topics."""

    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    """By family."""
    sent: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Records by family and partition."""
    rubbish: set[tuple[str, int, int]] = field(default_factory=set)
    """Family, partition and offset."""

    def take(self, record: Record) -> None:
        """Note a record that has been given to the producer."""
        family, partition = record.family, record.partition
        offset = self.sent[family, partition]
        self.sent[family, partition] += 1
        if record.event is None:
            self.rubbish.add((family, partition, offset))
        else:
            self.events[family].append({**record.event, "partition": partition, "offset": offset})


class Clicks:
    """What a run sends, and what must be shown of it: here clicks alone."""

    what: ClassVar = "clicks"
    partitions: ClassVar[dict[str, int]] = {CLICKS: PARTITIONS}
    """By family."""
    passed: ClassVar[tuple[str, ...]] = ()
    """Internal topics, in the order in which records go through them."""
    behind: ClassVar[dict[str, int]] = {}
    """Stages that say what became of the records of other families than clicks -> partitions of the topic that they read."""
    settings: ClassVar = "[fulfilment]\nenabled = false\n"

    def __init__(self, seed: int) -> None:
        """Nothing is sent yet."""
        self.seed, self.log = seed, Log()

    def records(self) -> Iterator[Record]:
        """Records without end."""
        return records(self.seed)

    def endings(self) -> Iterator[list[Record]]:
        """What is sent in the end; each lot when all before it is read."""
        yield last_ones()

    def fates(self, settings: Settings) -> tuple[Counter[tuple[str, int, str]], set[tuple[str, int, int]]]:
        """(family, partition, fate) -> records; and where those lie that became dead letters."""
        found, letters = Counter[tuple[str, int, str]](), set(self.log.rubbish)
        for verdict in verdicts(self.log.events[CLICKS], settings.session_rules())[0]:
            at = verdict.record["partition"], verdict.record["offset"]
            found[CLICKS, at[0], verdict.fate] += 1
            if verdict.fate == "too_late":
                letters.add((CLICKS, *at))
        found.update((family, partition, "rejected") for family, partition, _ in self.log.rubbish)
        return found, letters

    def tables(self, settings: Settings) -> dict[str, list[Event]]:
        """What the views must show."""
        return oracle.tables(self.log.events[CLICKS], settings.session_rules())
