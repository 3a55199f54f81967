"""What becomes of every record, and whose events belong together: sessions, row by row. The first half of the oracle; the other is oracle.py."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import polars as pl

from pipeline.hashing import hash64
from pipeline.journey_map import Journey
from pipeline.ordering import ties
from pipeline.session_rules import SessionRules
from tests.signal_oracle import CLOSING, Fired, signals_of, undone_in

Row = dict[str, Any]
"""A record of the log, or a row of a table."""
Watermarks = Mapping[int, datetime | None]

APPLIED, DUPLICATE, TOO_LATE = "applied", "duplicate", "too_late"


# What becomes of a record


@dataclass(frozen=True)
class Verdict:
    """One record, what became of it, and whether it was behind the watermark."""

    record: Row
    fate: str
    is_late: bool


class Times(Protocol):
    """What every fold's rules say of time."""

    @property
    def dedup_horizon(self) -> timedelta: ...

    @property
    def allowed_lateness(self) -> timedelta: ...


def verdicts(log: Iterable[Row], rules: Times) -> tuple[list[Verdict], Watermarks]:
    """The fate of every record in order, and how far each partition has come after the last."""
    watermarks: dict[int, datetime | None] = {}
    applied_at: dict[tuple[object, ...], datetime] = {}
    judged = []
    for record in log:
        partition, event_at = record["partition"], record["event_at"]
        before = watermarks.get(partition)
        if before is not None:
            before += record.get("quiet_before", timedelta(0))
        horizon = None if before is None else before - rules.dedup_horizon
        key = (partition, record.get("family"), record["site"], record["event_id"])
        is_known = key in applied_at and (horizon is None or applied_at[key] >= horizon)
        if horizon is not None and event_at < horizon:
            fate = TOO_LATE
        elif is_known:
            fate = DUPLICATE
        else:
            fate = APPLIED
            applied_at[key] = event_at
        judged.append(Verdict(record, fate, is_late=fate == APPLIED and before is not None and event_at < before))
        reached = min(event_at, record["record_at"]) - rules.allowed_lateness
        watermarks[partition] = reached if before is None else max(before, reached)
    return judged, watermarks


def fates(log: Iterable[Row], rules: Times) -> dict[tuple[int, str], tuple[int, int]]:
    """(partition, fate) -> how many records, and how many of these were late."""
    counted: Counter[tuple[int, str]] = Counter()
    late: Counter[tuple[int, str]] = Counter()
    for verdict in verdicts(log, rules)[0]:
        key = (verdict.record["partition"], verdict.fate)
        counted[key] += 1
        late[key] += verdict.is_late
    return {key: (n, late[key]) for key, n in counted.items()}


# Whose events belong together


@dataclass
class Session:
    """What one customer did in one visit, with the rules and the time by which it is judged."""

    partition: int
    site: str
    visitor_id: str
    session_id: str
    customer_id: str | None
    events: list[Row]
    fired: list[Fired]
    """What fired at one of its events, whichever events of the visitor it took."""
    rules: SessionRules
    watermark: datetime | None

    def values(self, field: str) -> list[Any]:
        """What its events say in one field, in order; those that say nothing are left out."""
        return [event[field] for event in self.events if event.get(field) is not None]

    @property
    def started_at(self) -> datetime:
        """Time of the first event."""
        started_at: datetime = min(event["event_at"] for event in self.events)
        return started_at

    @property
    def ended_at(self) -> datetime:
        """Time of the last event."""
        ended_at: datetime = max(event["event_at"] for event in self.events)
        return ended_at

    @property
    def is_bot(self) -> bool:
        """Whether any event says so."""
        return any(self.values("is_bot"))

    def reached(self, journey: Journey) -> dict[int, list[Row]]:
        """Index of each step reached, in order of the journey -> its events."""
        found = defaultdict(list)
        for event in self.events:
            index = step_of(event, journey)
            if index is not None:
                found[index].append(event)
        return dict(sorted(found.items()))

    @property
    def journey(self) -> Journey | None:
        """The journey that got furthest; of two that got equally far, the first of the settings."""
        best, best_rank = None, None
        for journey in self.rules.journeys.journeys:
            reached = self.reached(journey)
            if not reached:
                continue
            furthest, last = max(reached), len(journey.steps) - 1
            rank = (journey.goal_index in reached, furthest >= journey.commit_index, furthest / last if last else 1.0)
            if best_rank is None or rank > best_rank:
                best, best_rank = journey, rank
        return best

    @property
    def status(self) -> str:
        """What has become of it."""
        journey = self.journey
        reached = self.reached(journey) if journey else {}
        if journey and journey.goal_index in reached:
            return "converted"
        if not self.has_closed:
            return "open"
        return "abandoned" if journey and max(reached) >= journey.commit_index else "browsed"

    @property
    def has_closed(self) -> bool:
        """Whether it has been silent for long enough."""
        return self.watermark is not None and self.watermark > self.ended_at + self.rules.gap

    @property
    def signals(self) -> list[Fired]:
        """What fired in it, and what was left undone if it has closed; bots feel no friction."""
        if self.is_bot:
            return []
        return self.fired + (undone_in(self.events, self.rules.signals) if self.has_closed else [])


def sessions(applied: Iterable[Row], watermarks: Watermarks, rules: SessionRules) -> list[Session]:
    """The sessions of all visitors."""
    visitors = defaultdict(list)
    for event in in_order(applied):
        visitors[event["partition"], event["site"], event["visitor_id"]].append(event)
    found = []
    for (partition, site, visitor_id), events in visitors.items():
        signals = signals_of(events, [signal for signal in rules.signals if signal.name not in CLOSING])
        for name, cluster in clusters(events, rules):
            for part, (customer_id, part_events) in enumerate(parts(cluster), start=1):
                session_id = name if part == 1 else f"{name}~{part}"
                event_ids = {event["event_id"] for event in part_events}
                fired = [signal for signal in signals if signal.event_id in event_ids]
                watermark = watermarks.get(partition)
                found.append(Session(partition, site, visitor_id, session_id, customer_id, part_events, fired, rules, watermark))
    return found


def in_order(events: Iterable[Row]) -> list[Row]:
    """By time, then by the emitter's sequence, then by the id."""
    given = list(events)
    sequences = pl.Series("sequence", [event.get("sequence") for event in given], pl.Int64)
    event_ids = pl.Series("event_id", [event["event_id"] for event in given], pl.String)
    tie = ties(sequences, hash64(event_ids)).to_list()
    return [
        event for _, _, event in sorted(zip((e["event_at"] for e in given), tie, given, strict=True), key=lambda each: each[:2])
    ]


def clusters(events: Sequence[Row], rules: SessionRules) -> Iterator[tuple[str, list[Row]]]:
    """The visits of one visitor and their ids: an emitter's session has the patience of the retention, silence else ends a visit at the gap."""
    by_session_id = defaultdict(list)
    for event in events:
        by_session_id[event.get("session_id")].append(event)
    for given, those in by_session_id.items():
        patience = rules.gap if given is None else rules.retention
        cut = [[those[0]]]
        for event in those[1:]:
            if event["event_at"] - cut[-1][-1]["event_at"] <= patience:
                cut[-1].append(event)
            else:
                cut.append([event])
        for place, cluster in enumerate(cut):
            began = epoch_ms(cluster[0]["event_at"])
            if given is None:
                yield str(began), cluster
            else:
                yield (given if place == 0 else f"{given}~r{began}"), cluster


def parts(cluster: Sequence[Row]) -> list[tuple[str | None, list[Row]]]:
    """One part a customer, in order of their first events; what nobody put a name to belongs to the first."""
    named = [event for event in cluster if event.get("customer_id") is not None]
    first_at = {event["customer_id"]: event["event_at"] for event in reversed(named)}
    customers = sorted(first_at, key=lambda customer: (first_at[customer], customer))
    if not customers:
        return [(None, list(cluster))]
    first = customers[0]
    return [(customer, [event for event in cluster if event.get("customer_id", first) == customer]) for customer in customers]


def step_of(event: Row, journey: Journey) -> int | None:
    """Which step of a journey an event belongs to: the one its emitter names, else the furthest that it matches."""
    if event.get("step") is not None and event.get("journey") in {None, journey.name}:
        for index, step in enumerate(journey.steps):
            if event["step"] == step.name or event["step"] in step.steps:
                return index
    matching = [
        index
        for index, step in enumerate(journey.steps)
        if event["event_type"] in step.event_types
        or event.get("page_type") in step.page_types
        or any(is_like(event.get("page"), pattern) for pattern in step.pages)
    ]
    return max(matching, default=None)


def is_like(page: str | None, pattern: str) -> bool:
    """Whether a page fits a pattern in which `*` stands for anything."""
    return page is not None and re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), page) is not None


def epoch_ms(at: datetime) -> int:
    """Milliseconds since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
