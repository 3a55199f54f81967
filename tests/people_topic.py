"""The fold by person at work on a topic of several partitions: what it sends on comes back to it, late or at once, and its rows are stamped as a worker stamps them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

import polars as pl

from pipeline.facts import SAID
from pipeline.fold import Step
from pipeline.frames import TIME
from pipeline.keys import partitions
from pipeline.passed import COUNTS, LINK, PEOPLE, TYPES, Passed, heard
from pipeline.person_log import FACTS
from pipeline.watermark import BEFORE
from tests.builders import MARKS, Event, watermarks
from tests.counts_oracle import over_partitions
from tests.views import Fold, batches

HEARD = heard("ticket", LINK, TYPES, *FACTS)
AT_ONCE = Random(0)
MOST_TURNS = 30
"""More often than a record is sent on along any chain."""


def people_frame(records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """What a step over the topic `people` is given."""
    unknown = {name for record in records for name in record} - set(HEARD) - MARKS - {"known_at"}
    assert not unknown, f"people has no field {sorted(unknown)}"
    standing = {"is_forwarded": False, "is_gone": None}
    rows = [{name: record.get(name, standing.get(name)) for name in HEARD} for record in records]
    return pl.DataFrame(rows, schema=HEARD)


@dataclass
class PeopleTopic:
    """Workers on all partitions, each with a clock of its own."""

    fold: Fold
    n_partitions: int
    dice: Random | None = None
    """Who says how long what is sent on is on its way; None: it is there before anything else comes."""
    between: Callable[[Any], Any] = lambda state: state
    steps: list[Step[Any]] = field(default_factory=list)
    said: dict[str, list[pl.DataFrame]] = field(default_factory=lambda: defaultdict(list))
    reached: datetime | None = None
    other: int = 0
    """The clock of the stages in front."""

    def __post_init__(self) -> None:
        self.state = self.fold.empty()
        # Clocks of two machines differ; rows that were stamped by one must be outdone by the other all the same.
        self.clocks = {at: 10**6 + (self.n_partitions - at) * 10**5 for at in range(self.n_partitions)}
        self.waiting: dict[tuple[int, int], list[pl.DataFrame]] = defaultdict(list)

    def read(self, log: Sequence[Event]) -> "PeopleTopic":
        """A log, batch by batch; time comes with the rows or after them, to all partitions."""
        for batch in batches(log):
            reached = max((each["watermark"] for each in batch if each["watermark"] is not None), default=None)
            self.take(people_frame(batch), reached if self.dice is None or self.dice.random() < 0.5 else None)
            self.time(reached)
            self.deliver(all_of_it=self.dice is None)
        self.deliver(all_of_it=True)
        return self

    def end(self, until: datetime) -> "PeopleTopic":
        """Time has come so far."""
        self.time(until)
        self.deliver(all_of_it=True)
        return self

    def take(self, rows: pl.DataFrame, reached: datetime | None = None) -> None:
        """One step, and what it sends on goes on its way; `reached`: time comes so far with the rows."""
        before = self.reached
        self.reached = max((each for each in (before, reached) if each is not None), default=None)
        marks = [watermarks(dict.fromkeys(range(self.n_partitions), each)) for each in (before, self.reached)]
        known = marks[1].with_columns(marks[0]["watermark"].alias(BEFORE))
        for at, version in rows.group_by("partition").agg(pl.col("version").max()).rows():
            self.clocks[at] = max(self.clocks[at], version or 0)
        step = self.fold.step(self.state, rows, known)
        self.steps.append(step)
        self.state = self.between(step.state)
        # A worker says its rows first: what is sent on is stamped later, and so is all that follows from it.
        for name, table in step.tables.items():
            assert not table.select("partition", *SAID[name].key).is_duplicated().any(), (
                f"a step says two things about one row of {name}"
            )
            self.said[name].append(self.stamped(table.select(*SAID[name].schema, "partition")))
        for each in step.passed:
            self.send(each)

    def time(self, reached: datetime | None) -> None:
        """A step of no records."""
        if reached is not None and (self.reached is None or reached > self.reached):
            self.take(people_frame([]), reached)

    def stamped(self, rows: pl.DataFrame) -> pl.DataFrame:
        """With the version of each row: what its partition has never stamped or heard of before."""
        for at in rows["partition"].unique():
            self.clocks[at] += 1
        return rows.with_columns(pl.col("partition").replace_strict(self.clocks, return_dtype=pl.Int64).alias("version"))

    def send(self, passed: Passed) -> None:
        """By its key, as everything that goes to `people`; who judges counts is not here."""
        if passed.to == COUNTS:
            return
        assert passed.to == PEOPLE
        assert passed.is_forwarded
        rows = self.stamped(passed.rows)
        to = partitions(rows["site"], rows["key"], self.n_partitions)
        rows = rows.with_columns(pl.Series("to", to), pl.lit(passed.table).alias("family"))
        for (source, target), some in rows.group_by("partition", "to", maintain_order=True):
            self.waiting[int(source), int(target)].append(some)

    def heard(self, passed: Sequence[Passed]) -> pl.DataFrame:
        """What other stages have passed on, as a step is given it: each row in the partition of its key."""
        self.other += 1
        found = [HEARD.to_frame()]
        for each in passed:
            to = pl.Series("partition", partitions(each.rows["site"], each.rows["key"], self.n_partitions))
            rows = each.rows.drop("partition").with_columns(to, pl.lit(each.table).alias("family"))
            found.append(rows.select(name for name in HEARD if name in rows.columns))
        told = pl.concat(found, how="diagonal").with_row_index("at")
        return told.with_columns(
            pl.col("at").cast(pl.Int64).alias("offset"),
            pl.lit(value=False).alias("is_forwarded"),
            pl.lit(self.reached, TIME).alias("watermark"),
            pl.lit(self.other, pl.Int64).alias("version"),
        ).select(HEARD.names())

    def deliver(self, *, all_of_it: bool) -> None:
        """What is on its way arrives; of one partition in its order."""
        for _ in range(MOST_TURNS):
            arriving = []
            for way in list(self.waiting):
                if all_of_it or (self.dice is not None and self.dice.random() < 0.4):
                    arriving += [some.with_columns(pl.lit(way[1], pl.Int32).alias("partition")) for some in self.waiting.pop(way)]
            if not arriving:
                return
            told = pl.concat(arriving, how="diagonal").with_columns(
                pl.lit(value=True).alias("is_forwarded"), pl.lit(self.reached, TIME).alias("watermark")
            )
            absent = [pl.lit(None, dtype).alias(name) for name, dtype in HEARD.items() if name not in told.columns]
            self.take(told.with_columns(absent).select(HEARD.names()).sort("partition", maintain_order=True))
            if not all_of_it:
                return
        message = "what is sent on goes round in circles"
        raise AssertionError(message)

    def fates(self) -> dict[tuple[str, int, str], tuple[int, int]]:
        """(topic, partition, fate) by where a record first lay -> how many, and how many of these were late."""
        counted: dict[tuple[str, int, str], tuple[int, int]] = {}
        for step in self.steps:
            for topic, at, fate, n, n_late in step.fates.select("origin_topic", "origin_partition", "fate", "n", "n_late").rows():
                before = counted.get((topic, at, fate), (0, 0))
                counted[topic, at, fate] = (before[0] + n, before[1] + n_late)
        return counted

    def now(self) -> dict[str, pl.DataFrame]:
        """What the `_now` views show: of each row the highest version, less what was taken back; of counts their sum over partitions."""
        shown = {}
        for name, frames in self.said.items():
            table = SAID[name]
            rows = pl.concat(frames)
            newest = rows.filter(pl.col("version") == pl.col("version").max().over(table.key))
            told = newest.select(*table.schema, "version").unique()
            assert not told.select(table.key).is_duplicated().any(), f"two things about one row of {name} with one version"
            last = told.sort(table.key)
            shown[name] = last.filter(pl.col("is_deleted") == 0).sort(table.key).select(table.schema.names())
        if "rollups" in shown:
            shown["rollups"] = over_partitions(shown["rollups"])
        return shown


def told_people(
    fold: Fold,
    log: Sequence[Event],
    n_partitions: int,
    *,
    until: datetime | None = None,
    dice: Random | None = None,
    between: Callable[[Any], Any] = lambda state: state,
) -> PeopleTopic:
    """A fold over a log, and until nothing is on its way any more."""
    line = PeopleTopic(fold, n_partitions, dice, between).read(log)
    return line if until is None else line.end(until)
