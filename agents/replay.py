"""Files to ClickHouse with no broker: the same folds over the same events, in event time, as fast as they go.

Time:    no wall clock: record time = `event_at`, one partition, in order; at the end time goes on as far as it is told
**Delivery:** a replay that is done has written everything. One that broke off is simply run again: a row has the same id, and replaces what was there.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self

import polars as pl

from agents.mapping import Plan, stream
from agents.mapping_engine import MappingEngine, Seen
from agents.replayed_events import PARTITION, Batch, Judge, letters, text, unparsed
from agents.replayed_people import ReplayedPeople
from agents.replayed_spikes import ReplayedSpikes
from pipeline.checks import Bounds
from pipeline.commerce import COMMERCE_FAMILY, FAMILIES, together
from pipeline.events import POSITION, event_schema
from pipeline.facts import UNSTORED
from pipeline.fold import Step
from pipeline.frames import FATE_NAMES, WATERMARKS
from pipeline.journeys import JourneysFold
from pipeline.passed import Passed
from pipeline.sessions import SessionsFold
from pipeline.spikes import SpikesFold

STEP_ROWS = 50_000
"""Rows of one step, about."""
EVERY_WAIT = timedelta(days=3_650)
"""Longer than anything waits."""
END, LAST = "end", "last"


class Fold(Protocol):
    """A fold with its rules (pipeline/sessions.py)."""

    @property
    def name(self) -> str:
        """Stage."""

    @property
    def family(self) -> str:
        """Event family it reads."""

    def empty(self) -> Any:
        """Return the state before anything was read."""

    def step(self, state: Any, batch: pl.DataFrame, watermarks: pl.DataFrame) -> Step[Any]:
        """Fold one batch."""


@dataclass(frozen=True)
class Until:
    """How far time goes on: what waits until then and was not met lapses."""

    at: datetime | None = None
    """This time, and what happened later has not happened yet; None: as `leaves_open` says."""
    leaves_open: bool = False
    """Only to the last event; else until every wait has elapsed."""

    @classmethod
    def parsed(cls, text: str) -> Self:
        """`end`, `last`, or a time in ISO 8601, UTC if it names no zone. Raises: ValueError."""
        if text in (END, LAST):
            return cls(leaves_open=text == LAST)
        try:
            at = datetime.fromisoformat(text)
        except ValueError as error:
            message = f"--until is end, last, or a time like 2026-11-24T10:00:00Z, not {text!r}"
            raise ValueError(message) from error
        return cls(at if at.tzinfo else at.replace(tzinfo=UTC))


@dataclass
class Replayed:
    """What became of everything that was read."""

    fates: Counter[str] = field(default_factory=Counter)
    """Rows; a row that could not be parsed is one too."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why rows were rejected."""
    unused: Counter[str] = field(default_factory=Counter)
    """Family -> good events that no fold reads."""
    rowless: set[str] = field(default_factory=set)
    """Mappings and files that gave no row."""
    n_after: int = 0
    """Rows after the time until which was replayed."""
    tables: dict[str, int] = field(default_factory=dict)
    """Table -> rows of its `_now` view."""
    seconds: float = 0.0

    def summary(self) -> dict[str, object]:
        """It as JSON."""
        read = sum(self.fates[fate] for fate in FATE_NAMES)
        return {
            "tables": self.tables,
            "fates": {fate: self.fates[fate] for fate in FATE_NAMES},
            "rejects": dict(self.reasons),
            "unused": dict(self.unused),
            "rowless": sorted(self.rowless),
            "after_until": self.n_after,
            "seconds": round(self.seconds, 3),
            "events_per_s": round(read / self.seconds) if self.seconds else 0,
        }


class Kept(Protocol):
    """Where rows go (agents/replay_store.py)."""

    def put(self, tables: dict[str, pl.DataFrame]) -> None:
        """Take rows of tables."""

    def flush(self) -> None:
        """Have written everything."""

    def counts(self) -> dict[str, int]:
        """Return the rows of each table."""


class _Run:
    """One fold on its way through the events."""

    def __init__(self, fold: Fold) -> None:
        self.fold, self._state = fold, fold.empty()
        self.families = FAMILIES if fold.family == COMMERCE_FAMILY else (fold.family,)
        self._watermarks = pl.DataFrame({"partition": [PARTITION], "watermark": [None]}, schema=WATERMARKS)

    def reads(self, batch: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """What the fold reads of a batch, by family."""
        if self.fold.family == COMMERCE_FAMILY:
            return together(batch)
        nothing = pl.DataFrame(schema={**event_schema(self.fold.family), **POSITION})
        return batch.get(self.fold.family, nothing)

    @property
    def reached(self) -> datetime | None:
        """How far time has come."""
        at: datetime | None = self._watermarks["watermark"][0]
        return at

    def step(self, events: pl.DataFrame) -> Step[Any]:
        done = self.fold.step(self._state, events, self._watermarks)
        self._state, self._watermarks = done.state, done.watermarks
        return done

    def elapse(self, until: datetime) -> Step[Any]:
        """Let time go on without events. It never goes back."""
        reached = self._watermarks["watermark"][0]
        at = until if reached is None else max(until, reached)
        self._watermarks = pl.DataFrame({"partition": [PARTITION], "watermark": [at]}, schema=WATERMARKS)
        return self.step(self.reads({}))


Told = Callable[[int, datetime | None], None]
"""Hears how many rows were taken, and which time was reached."""


class Replay:
    """Everything that is replayed, and with what."""

    def __init__(
        self,
        plans: Sequence[Plan],
        folds: Sequence[Fold],
        bounds: Bounds,
        until: Until,
        *,
        people: JourneysFold | None = None,
        spikes: SpikesFold | None = None,
    ) -> None:
        """Replay these mappings or files through these folds; `people`: the fold that joins what they say; `spikes`: the one that watches what they count."""
        self._plans, self._bounds, self._until = list(plans), bounds, until
        self._runs = [_Run(fold) for fold in folds]
        self._people = None if people is None else ReplayedPeople(people)
        self._spikes = None if spikes is None else ReplayedSpikes(spikes)
        self._done = Replayed(rowless={plan.name for plan in plans})
        self._last_at: datetime | None = None

    def run(self, engine: MappingEngine, store: Kept, *, seen: Seen | None = None, told: Told | None = None) -> Replayed:
        """Read all of it, once, into a store that is open.

        Raises: QueryFailed if the engine could not go on; WriteFailed
        """
        began, judge, n = time.monotonic(), Judge(self._bounds), 0
        bad = engine.scratch / "unparsed"
        bad.mkdir()
        for raw in engine.batches(stream(self._plans, bad), rows=STEP_ROWS, seen=seen):
            self._done.rowless -= set(text(raw["mapping"].unique()).to_list())
            batch = judge.batch(self._due(raw))
            self._take(batch, store)
            n += raw.height
            if told is not None:
                told(n, self._last_at)
        lost = unparsed(bad, self._plans)
        self._reject(lost, store)
        self._elapse(store)
        store.flush()
        self._done.tables = store.counts()
        self._done.seconds = time.monotonic() - began
        return self._done

    def _due(self, raw: pl.DataFrame) -> pl.DataFrame:
        """What has happened by then. What says no time is judged with the rest."""
        if self._until.at is None:
            return raw
        due = raw.filter(pl.col("event_at").is_null() | (pl.col("event_at") <= self._until.at))
        self._done.n_after += raw.height - due.height
        return due

    def _take(self, batch: Batch, store: Kept) -> None:
        self._reject(batch.rejects, store)
        for family, events in batch.events.items():
            last_at = events["event_at"].max()
            assert isinstance(last_at, datetime)
            self._last_at = last_at if self._last_at is None else max(self._last_at, last_at)
            if not any(family in run.families for run in self._runs) and (self._people is None or family != self._people.family):
                self._done.unused[family] += events.height
        passed: list[Passed] = []
        for run in self._runs:
            events = run.reads(batch.events)
            if events.height:
                done = run.step(events)
                self._say(run.fold.name, done, batch, store)
                passed += done.passed
        if self._people is not None:
            for done in self._people.take(batch.events, passed, [run.reached for run in self._runs]):
                self._say(self._people.fold.name, done, batch, store)
                passed += done.passed
        self._watch(passed, store)

    def _say(self, stage: str, done: Step[Any], batch: Batch, store: Kept) -> None:
        for fate, n in done.fates.select("fate", "n").rows():
            self._done.fates[fate] += n
        store.put(_stored(done))
        if done.rejects.height:
            self._done.reasons.update(done.rejects["reason"].to_list())
            rejects = done.rejects
            if "origin_offset" in rejects.columns:  # of a fold behind intake: its own offsets are of messages
                rejects = rejects.with_columns(pl.col("origin_offset").alias("offset"))
            store.put({"dead_letters": letters(batch.raw, rejects, stage=stage)})

    def _reject(self, rejects: pl.DataFrame, store: Kept) -> None:
        self._done.fates["rejected"] += rejects.height
        self._done.reasons.update(rejects["reason"].to_list())
        store.put({"dead_letters": rejects})

    def _elapse(self, store: Kept) -> None:
        """Let time go on after the last event, for every fold."""
        if self._last_at is None:
            return
        until = self._until.at or (self._last_at if self._until.leaves_open else self._last_at + EVERY_WAIT)
        passed: list[Passed] = []
        for run in self._runs:
            done = run.elapse(until)
            store.put(_stored(done))
            passed += done.passed
        if self._people is not None:
            for done in self._people.elapse(tuple(passed), until):
                store.put(_stored(done))
                passed += done.passed
        self._watch(passed, store)

    def _watch(self, passed: Iterable[Passed], store: Kept) -> None:
        """Judge what was counted, as far as all have come."""
        if self._spikes is None:
            return
        reached = [run.reached for run in self._runs] + ([] if self._people is None else [self._people.reached])
        known = [at for at in reached if at is not None]
        of_visits = next((run.reached for run in self._runs if run.fold.name == SessionsFold.name), None)
        store.put(_stored(self._spikes.take(passed, min(known, default=None), of_visits)))


def _stored(done: Step[Any]) -> dict[str, pl.DataFrame]:
    return {name: rows for name, rows in done.tables.items() if name not in UNSTORED}
