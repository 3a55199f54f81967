"""Whose every record is, and what becomes of it: people, row by row. The first part of the oracle of the fold by person; the others are contacts_oracle and journeys_oracle.

It knows all records and all links at once: no partitions, nothing is sent on. What any forwarding must come to in the end.

A *record* is a dict with `family` (ticket, visit, case, lapse, signal), `key` (its own lasting key) and `version` (of a fact); a *link* has the family `link`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from pipeline.person_log import FACT_IDS, FACTS
from tests.session_oracle import APPLIED, DUPLICATE, TOO_LATE, Row, Verdict

KINDS = ("customer", "visitor", "order")
"""What a link can name, the strongest first."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SURVEYS = {"csat_answered": "csat", "nps_answered": "nps", "ces_answered": "ces"}


class Rules(Protocol):
    """What the fold's rules say of time."""

    @property
    def dedup_horizon(self) -> timedelta: ...


@dataclass
class Person:
    """One person, and all that is at home there, each record as it was said last."""

    site: str
    key: str
    now: datetime | None
    tickets: list[Row] = field(default_factory=list)
    """Events, in order of time and id."""
    visits: list[Row] = field(default_factory=list)
    cases: list[Row] = field(default_factory=list)
    lapses: list[Row] = field(default_factory=list)
    signals: list[Row] = field(default_factory=list)
    seen: list[Row] = field(default_factory=list)
    """What types of events the site sends, and when."""

    @property
    def customer_id(self) -> str | None:
        """Its customer, if that is known."""
        kind, _, name = self.key.partition(":")
        return name if kind == "customer" else None

    def passed(self, at: datetime | None) -> bool:
        """Whether the watermark is beyond a time."""
        return at is not None and self.now is not None and self.now > at

    def by_ticket(self) -> dict[str, list[Row]]:
        """Ticket -> its events."""
        found: dict[str, list[Row]] = defaultdict(list)
        for event in self.tickets:
            if said(event, "ticket_id"):
                found[event["ticket_id"]].append(event)
        return dict(found)

    def has_seen(self, types: Sequence[str], at: datetime, within: timedelta) -> bool:
        """Whether the shop is known to send one of these types."""
        since = (at - EPOCH).days - within.days
        return any(
            each["event_type"] in types and each["event_at"] <= at and (each["event_at"] - EPOCH).days >= since
            for each in self.seen
        )


def said(event: Row, name: str) -> bool:
    """Whether a record has a value: an empty string is none."""
    return event.get(name) not in (None, "")


def first_of(events: Iterable[Row], name: str) -> Any:
    """The first value that is said."""
    return next((event[name] for event in events if said(event, name)), None)


# What becomes of a record


def verdicts(log: Iterable[Row], rules: Rules) -> list[Verdict]:
    """The fate of every event of a ticket that came in from outside. `watermark` stands beside each: how far its partition had come just before."""
    reached: dict[int, datetime] = {}
    applied_at: dict[tuple[object, ...], datetime] = {}
    judged = []
    for record in log:
        partition, event_at = record["partition"], record.get("event_at")
        told = record.get("watermark")
        if told is not None:
            reached[partition] = max(told, reached.get(partition, told))
        if record["family"] != "ticket":
            continue
        before = reached.get(partition)
        key = (partition, record["site"], record["event_id"])
        horizon = None if before is None else before - rules.dedup_horizon
        is_known = key in applied_at and (horizon is None or applied_at[key] >= horizon)
        if horizon is not None and event_at < horizon:
            fate = TOO_LATE
        elif is_known:
            fate = DUPLICATE
        else:
            fate = APPLIED
            applied_at[key] = event_at
        judged.append(Verdict(record, fate, is_late=fate == APPLIED and before is not None and event_at < before))
    return judged


def fates(log: Iterable[Row], rules: Rules) -> dict[tuple[str, int, str], tuple[int, int]]:
    """(topic, partition, fate) by where a record first lay -> how many, and how many of these were late."""
    counted: Counter[tuple[str, int, str]] = Counter()
    late: Counter[tuple[str, int, str]] = Counter()
    for verdict in verdicts(log, rules):
        key = (verdict.record["origin_topic"], verdict.record["origin_partition"], verdict.fate)
        counted[key] += 1
        late[key] += verdict.is_late
    return {key: (n, late[key]) for key, n in counted.items()}


# Whose a record is


def people(log: Sequence[Row], rules: Rules, until: datetime | None) -> list[Person]:
    """Everybody who has a record. `until`: how far time has come for all of them."""
    records = [verdict.record for verdict in verdicts(log, rules) if verdict.fate == APPLIED]
    records += facts(log)
    homes = Homes(records, [link for link in log if link["family"] == "link"])
    seen: dict[str, list[Row]] = defaultdict(list)
    for record in log:
        if record["family"] == "types":
            seen[record["site"]].append(record)
    found: dict[tuple[str, str], Person] = {}
    for record in records:
        site, key = record["site"], homes.of(record)
        person = found.setdefault((site, key), Person(site, key, until, seen=seen.get(site, [])))
        {"ticket": person.tickets, "visit": person.visits, "case": person.cases, "lapse": person.lapses, "signal": person.signals}[
            record["family"]
        ].append(record)
    for person in found.values():
        person.tickets.sort(key=lambda each: (each["event_at"], each["event_id"]))
        person.visits.sort(key=lambda each: (each["started_at"], each["session_id"]))
        person.cases.sort(key=lambda each: (each["opened_at"], each["order_id"]))
    return [found[each] for each in sorted(found)]


def facts(log: Iterable[Row]) -> list[Row]:
    """Every fact as it was said last, less what was taken back."""
    latest: dict[tuple[object, ...], Row] = {}
    for record in log:
        if record["family"] in FACT_IDS:
            name = (record["family"], *(record.get(part) for part in FACT_IDS[record["family"]]))
            if name not in latest or record["version"] >= latest[name]["version"]:
                latest[name] = record
    return [dict.fromkeys(FACTS[fact["family"]]) | fact for fact in latest.values() if not fact["is_deleted"]]


class Homes:
    """Whose is what."""

    def __init__(self, records: Sequence[Row], links: Iterable[Row]) -> None:
        self._links: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for link in links:
            self._links[link["site"], link["key"]].append(link)
        self._visits = {(r["site"], r["visitor_id"], r["session_id"]): r for r in records if r["family"] == "visit"}
        self._starts = self._earliest(records)

    def _earliest(self, records: Sequence[Row]) -> dict[tuple[str, str], datetime]:
        """When each ticket and each order begins: all of it is placed as one. An order begins with its document, if that is known."""
        starts: dict[tuple[str, str], datetime] = {}
        for record in records:
            if record["key"].startswith("ticket:"):
                place = (record["site"], record["key"])
                starts[place] = min(own_time(record), starts.get(place, own_time(record)))
        opened = {(r["site"], r["key"]): r["opened_at"] for r in records if r["family"] == "case"}
        loose: dict[tuple[str, str], datetime] = {}
        for record in records:
            for key in self._way(record):
                if key.startswith("order:"):
                    at = starts.get((record["site"], record["key"]), own_time(record))
                    loose[record["site"], key] = min(at, loose.get((record["site"], key), at))
        return starts | loose | opened

    def _way(self, record: Row) -> Iterator[str]:
        """The key of a record, and those that it is sent on to, as far as time does not matter."""
        site, key = record["site"], record["key"]
        if key.startswith("parcel:") and said(record, "order_id"):
            key = f"order:{record['order_id']}"
        while True:
            yield key
            further = self._strongest(site, key) if key.startswith(("order:", "ticket:")) else None
            if further is None:
                return
            key = further

    def of(self, record: Row) -> str:
        """The key of the person whose it is."""
        if record["family"] == "visit" and said(record, "customer_id"):
            return f"customer:{record['customer_id']}"
        site, start = record["site"], own_time(record)
        if record["family"] in ("lapse", "signal") and record["key"].startswith("visitor:"):
            visit = self._visits.get((site, record.get("visitor_id"), record.get("session_id")))
            if visit is not None:
                return self.of(visit)
        key = record["key"]
        for key in self._way(record):
            start = self._starts.get((site, key), start)
        return self._next_login(site, key, start) if key.startswith("visitor:") else key

    def _next_login(self, site: str, key: str, start: datetime) -> str:
        """Of a visitor: the customer who was the next to say who they are."""
        later = [(link["event_at"], link["belongs_to"]) for link in self._links[site, key] if link["event_at"] >= start]
        return min(later)[1] if later else key

    def _strongest(self, site: str, key: str) -> str | None:
        """Of an order or a ticket: the strongest that was ever named; of several the first."""
        named = [
            (KINDS.index(link["belongs_to"].split(":")[0]), link["event_at"], link["belongs_to"]) for link in self._links[site, key]
        ]
        return min(named)[2] if named else None


def own_time(record: Row) -> datetime:
    """When a record begins."""
    name = {"ticket": "event_at", "visit": "started_at", "case": "opened_at", "lapse": "began_at", "signal": "fired_at"}
    at: datetime = record[name[record["family"]]]
    return at


# What a holder says of visitors


def identities(log: Iterable[Row]) -> Iterator[Row]:
    """Of each visitor and time one customer, where another family than the clicks told it."""
    told: dict[tuple[str, str, datetime], list[Row]] = defaultdict(list)
    for link in log:
        if link["family"] == "link" and link["key"].startswith("visitor:"):
            told[link["site"], link["key"], link["event_at"]].append(link)
    for (site, key, at), links in told.items():
        if any(link["told_by"] == "clickstream" for link in links):
            continue
        link = min(links, key=lambda each: (each["belongs_to"], each["told_by"]))
        names = {"visitor_id": key.split(":", 1)[1], "customer_id": link["belongs_to"].split(":", 1)[1]}
        yield {"site": site, **names, "linked_at": at, "source": link["told_by"]}
