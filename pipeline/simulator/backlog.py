"""What the simulator has told but not handed out yet, in order of arrival.

Frames:  SHAPES: events of the four families with `record_at`, truth with `settled_at` (the last of it has arrived); each row with the running number of its `visit`
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator.aftermath import Aftermath
from pipeline.simulator.arrivals import DAY_MS
from pipeline.simulator.case_truth import CASES, CONTACTS, CUSTOMERS, INCIDENTS
from pipeline.simulator.columns import TIME, schema
from pipeline.simulator.contract import EVENTS
from pipeline.simulator.disorder import MOST_MS, Disorder, disordered
from pipeline.simulator.draws import Ints
from pipeline.simulator.entries import contract_of
from pipeline.simulator.stories import Stories
from pipeline.simulator.truth import FRICTIONS, TRUTH

SHAPES: Mapping[str, pl.Schema] = {
    "events": EVENTS,
    **{name: schema({**contract_of(family), "record_at": TIME}) for name, family in (("orders", "order"), ("deliveries", "delivery"), ("tickets", "ticket"))},
    "truth": TRUTH,
    "frictions": FRICTIONS,
    "cases": CASES,
    "incidents": INCIDENTS,
    "contacts": CONTACTS,
    "customers": CUSTOMERS,
}  # fmt: skip
"""Every frame that is handed out, by name."""
OF_VISITS = ("events", "truth", "frictions")
"""Those that are over when a visit is; all others tell what comes after."""
_FAMILIES = ("orders", "deliveries", "tickets")
_OF_CASES = ("cases", "incidents", "contacts", "customers")


def due(name: str) -> str:
    """The column that says when a row of this frame is handed out."""
    return "record_at" if "record_at" in SHAPES[name] else "settled_at"


@dataclass(frozen=True)
class Backlog:
    """Rows of some cohorts, by the name of their frame, in order of their time."""

    frames: Mapping[str, pl.DataFrame]

    @classmethod
    def nothing(cls) -> "Backlog":
        """No rows."""
        return cls(
            {name: pl.DataFrame(schema=schema({"visit": pl.Int64, **shape, due(name): TIME})) for name, shape in SHAPES.items()}
        )

    @classmethod
    def arrived(cls, story: Stories, after: Aftermath, n_visits: int, seed: Sequence[int], disorder: Disorder) -> "Backlog":
        """One cohort as it arrives, its visits numbered from `n_visits` on."""
        shift = pl.col("visit") + n_visits
        frames = {"events": disordered(story.events.with_columns(shift), [*seed, 0], disorder, by="visitor_id")}
        settled = frames["events"].group_by("visit").agg(pl.col("record_at").max().alias("settled_at"))
        frames["truth"] = story.truth.with_columns((pl.int_range(pl.len(), dtype=pl.Int64) + n_visits).alias("visit")).join(
            settled, on="visit", how="left", maintain_order="left"
        )
        whose = frames["truth"].select("visit_id", "visit", "settled_at")
        frames["frictions"] = story.frictions.join(whose, on="visit_id", how="left", maintain_order="left")
        for number, name in enumerate(_FAMILIES, start=1):
            family = getattr(after, name).with_columns(shift).sort("event_at", maintain_order=True)
            frames[name] = disordered(family, [*seed, number], disorder).select("visit", *SHAPES[name])
        for name in _OF_CASES:
            over = getattr(after, name).with_columns(shift, (pl.col("ended_ms") + MOST_MS).cast(TIME).alias("settled_at"))
            frames[name] = over.drop("ended_ms")
        columns = cls.nothing().frames
        return cls(
            {name: frame.select(columns[name].columns).sort(due(name), maintain_order=True) for name, frame in frames.items()}
        )

    @classmethod
    def all_of(cls, parts: Sequence["Backlog"]) -> "Backlog":
        """All parts in order of arrival: of two rows at the same time the one of the earlier part is first."""
        return cls({name: pl.concat([part.frames[name] for part in parts]).sort(due(name), maintain_order=True) for name in SHAPES})

    def split(self, until_ms: int) -> tuple["Backlog", "Backlog"]:
        """What has arrived before this time, and the rest."""
        now, later = {}, {}
        for name, frame in self.frames.items():
            n = int(np.searchsorted(times_ms(frame, due(name)), until_ms))
            now[name], later[name] = frame[:n], frame[n:]
        return Backlog(now), Backlog(later)

    def first(self, n: int) -> tuple["Backlog", "Backlog"]:
        """At most n events of the clickstream and all that had arrived before the next one, and the rest."""
        events = self.frames["events"]
        if events.height <= n:
            return self, Backlog.nothing()
        before, after = self.split(int(times_ms(events, "record_at")[n]))
        return Backlog({**before.frames, "events": events[:n]}), Backlog({**after.frames, "events": events[n:]})

    def of_visits(self, numbers: pl.DataFrame) -> "Backlog":
        """What belongs to these visits."""
        return Backlog(
            {name: frame.join(numbers, on="visit", how="semi", maintain_order="left") for name, frame in self.frames.items()}
        )

    def whole(self, n_events: int) -> "Backlog":
        """The first visits, in order of their beginning, that together have so many events, and all that follows from them."""
        truth = self.frames["truth"].sort("started_at", "visit")
        first = truth.filter(pl.col("n_events").cum_sum() - pl.col("n_events") < n_events)
        return Backlog({**self.of_visits(first.select("visit")).frames, "truth": first})

    def handed_out(self) -> dict[str, pl.DataFrame]:
        """The frames, with the columns that their readers know."""
        return {name: frame.select(SHAPES[name].names()) for name, frame in self.frames.items()}


class Ahead:
    """What lies ahead: the next two days in order, later days as they came, for what follows from an order takes weeks."""

    def __init__(self) -> None:
        """Nothing lies ahead."""
        self._near = Backlog.nothing()
        self._far: dict[int, list[Backlog]] = {}

    def put(self, more: Backlog, until_ms: int) -> None:
        """More of it; nothing before `until_ms` will be put any more."""
        horizon = until_ms // DAY_MS + 2
        near, far = more.split(horizon * DAY_MS)
        days: dict[int, dict[str, pl.DataFrame]] = {}
        for name, frame in far.frames.items():
            for day, rows in _by_day(frame, due(name)):
                days.setdefault(day, {})[name] = rows
        nothing = Backlog.nothing().frames
        for day, frames in days.items():
            self._far.setdefault(day, []).append(Backlog({**nothing, **frames}))
        come = [part for day in sorted(self._far) if day < horizon for part in self._far.pop(day)]
        self._near = Backlog.all_of((self._near, *come, near))

    def take(self, until_ms: int) -> Backlog:
        """What has arrived before this time; it is gone from here."""
        ready, self._near = self._near.split(until_ms)
        return ready

    def rest(self) -> Backlog:
        """All that is left."""
        return Backlog.all_of((self._near, *(part for day in sorted(self._far) for part in self._far[day])))


class Queue:
    """Rows in order of time, taken from the front; it holds no more than was put in and not taken."""

    def __init__(self, empty: pl.DataFrame) -> None:
        """A queue with nothing in it."""
        self._empty = empty
        self._parts: deque[tuple[pl.DataFrame, Ints]] = deque()

    def put(self, frame: pl.DataFrame, at_ms: Ints) -> None:
        """Rows later than all that are in the queue, ascending by their times."""
        if frame.height:
            self._parts.append((frame, at_ms))

    def take(self, until_ms: int) -> pl.DataFrame:
        """The rows before this time; they are gone from the queue."""
        taken = []
        while self._parts:
            frame, at_ms = self._parts.popleft()
            n = int(np.searchsorted(at_ms, until_ms))
            taken.append(frame[:n])
            if n < frame.height:
                self._parts.appendleft((frame[n:], at_ms[n:]))
                break
        if len(taken) == 1:
            return taken[0]
        return pl.concat([self._empty, *taken])

    def __bool__(self) -> bool:
        """Is there anything in it?"""
        return bool(self._parts)


def times_ms(frame: pl.DataFrame, column: str) -> Ints:
    """The times of a column as epoch ms."""
    return frame[column].to_physical().to_numpy()


def _by_day(frame: pl.DataFrame, column: str) -> list[tuple[int, pl.DataFrame]]:
    """The rows of each day, in order; the frame is in order of this time."""
    day = times_ms(frame, column) // DAY_MS
    begins = np.flatnonzero(np.append(True, day[1:] != day[:-1])) if len(day) else np.array([], dtype=np.int64)
    ends = np.append(begins[1:], len(day))
    return [(int(day[begin]), frame[int(begin) : int(end)]) for begin, end in zip(begins, ends, strict=False)]
