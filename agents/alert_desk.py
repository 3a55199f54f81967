"""What is known of alerts, who has been told what, and who is still to be told: what the delivery works through, and what is kept.

Of each alert the newest row is held and not every record, so that a channel that was away is told how things are, and memory is bounded by the
alerts there are: 10,000; more than that, and those that are over are let go of first.

**Delivery:** what was told since the last checkpoint is told again after a crash. What is still to be told follows from what is kept, so no resolution is lost.
Cases:   becomes more or less severe, or its place changes -> news | opens and is over before anybody could be told -> a webhook is told once, that it is over | older than a day by then -> nobody is
         muted -> nothing new is told; who knows of the alert is told that it is over, and an Alertmanager goes on hearing that it is open
         resolved rows that are said again -> a day long it is known who has been told
         taken back, or open where it was told to be over -> nobody hears of it for two minutes: so it is after a crash, and then it is said again as it was
"""

import json
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from agents.alert_settings import Channel
from pipeline.alert_routes import Alert, Mutes
from pipeline.alert_words import OPEN, RESOLVED, RETRACTED, labels, state, status
from pipeline.frames import ALERTS, TIME, schema

log = logging.getLogger(__name__)

MOST = 10_000
"""Alerts that are held."""
KNOWN_FOR = timedelta(days=1)
"""So long an alert that is over is known, and told of to whom it is news."""
SAID_ON = timedelta(minutes=15)
"""So long an Alertmanager is told that an alert is over, should it restart meanwhile; so does Prometheus."""

PATIENCE = timedelta(minutes=2)
"""So long nobody is told that an alert was taken back, or is open though it was over: who goes on after a crash takes back what had been said since the checkpoint, and
mostly says it again."""

KEPT = schema({"partition": pl.Int32, "row": pl.String, "told": pl.String, "taken_at": TIME})
_TIMES = tuple(name for name, dtype in ALERTS.schema.items() if dtype == TIME)

Key = tuple[str, str]
"""Site and alert_id."""


@dataclass(frozen=True)
class Told:
    """What a channel was told last of an alert."""

    state: str
    version: int
    at_ms: int
    """When that was news."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """By which an Alertmanager knows it."""
    was: Mapping[str, str] = field(default_factory=dict)
    """By which it knew it before: it must hear that this has ended."""

    @property
    def is_open(self) -> bool:
        """Whether it takes the alert for open."""
        return self.state.startswith(OPEN)


@dataclass
class Known:
    """An alert."""

    partition: int
    row: Alert
    taken_at: datetime
    told: dict[str, Told] = field(default_factory=dict)

    def waits(self, last: Told | None, now: datetime) -> bool:
        """Whether nobody is told yet how it is: it was taken back, or is open where it was told to be over."""
        is_back = status(self.row) == OPEN and last is not None and last.state == RESOLVED
        return now - self.taken_at < PATIENCE and (is_back or status(self.row) == RETRACTED)

    @property
    def key(self) -> Key:
        """Site and alert_id."""
        return self.row["site"], self.row["alert_id"]


@dataclass(frozen=True)
class News:
    """Something that a channel is to be told."""

    key: Key
    row: Alert
    state: str
    last: Told | None
    """What it was told before."""
    is_new: bool = True
    """Whether it is to be told that; else only, of what it knows, that it goes on."""

    @property
    def idempotency_key(self) -> str:
        """The same for the same news, however often it is sent."""
        key, last = f"{self.row['alert_id']}:{self.state}", self.last
        if last is None or last.state == RESOLVED or not self.state.startswith(OPEN):
            return key
        # As bad as it was once before it became worse is news of its own.
        return key + (f":{self.row['updated_at']:%Y%m%dT%H%M%SZ}" if last.state == self.state else f":{last.version}")


class Desk:
    """Alerts of the partitions held. Any thread."""

    def __init__(self, channels: Iterable[Channel], mutes: Mutes) -> None:
        """Begin with nothing."""
        self.channels, self._mutes = tuple(channels), mutes
        self._known: dict[Key, Known] = {}
        self._partitions: dict[int, int] = {}  # partition -> how often what is kept of it has changed
        self._lock = threading.Lock()
        self.given_up = 0
        """News that nobody was told, for there were too many alerts."""

    def take(self, partition: int, row: Alert, now: datetime) -> None:
        """Note how an alert is; a row that is older than what is known changes nothing."""
        with self._lock:
            key = row["site"], row["alert_id"]
            known = self._known.get(key)
            if known is None:
                self._known[key] = Known(partition, row, now)
                self._make_room(now)
            elif row["version"] > known.row["version"]:
                known.row, known.taken_at, known.partition = row, now, partition
            self._changed(partition)

    def news(self, channel: Channel, now: datetime) -> list[News]:
        """What a channel is to be told now, the oldest alert first."""
        with self._lock:
            found = [News(each.key, each.row, due, each.told.get(channel.name)) for each, due in self._due(channel, now)]
        return sorted(found, key=lambda each: (each.row["opened_at"] or now, each.key))

    def standing(self, channel: Channel, now: datetime) -> list[News]:
        """All that an Alertmanager must hear: what is open there or is to be, and what has ended there a short while ago."""
        with self._lock:
            found = []
            for each in self._known.values():
                last, row = each.told.get(channel.name), each.row
                if each.waits(last, now):
                    if status(row) == OPEN:
                        continue
                    row = {**row, "is_deleted": 0}  # what was taken back is as it was, beside that
                is_heard = last is not None and _is_heard(row, last, now)
                is_new = self._due_of(channel, each, now) is not None
                if is_heard or is_new:
                    found.append(News(each.key, row, state(row), last, is_new))
        return found

    def told(self, channel: Channel, news: News, now: datetime) -> None:
        """Note that a channel has been told this, or never will be."""
        with self._lock:
            known = self._known.get(news.key)
            if known is None:  # its partition was given up meanwhile
                return
            last = Told(news.state, news.row["version"], int(now.timestamp() * 1_000), labels(news.row))
            if news.last is not None:
                has_moved = news.last.labels != last.labels
                is_new = has_moved or news.last.state != last.state
                was = news.last.labels if has_moved else news.last.was
                last = replace(last, at_ms=last.at_ms if is_new else news.last.at_ms, was=was)
            if known.told.get(channel.name) != last:
                known.told[channel.name] = last
                self._changed(known.partition)

    def n_open(self) -> int:
        """How many alerts are open."""
        with self._lock:
            return sum(status(each.row) == OPEN for each in self._known.values())

    def waiting(self, channel: Channel, now: datetime) -> int:
        """How many news a channel has not been told."""
        with self._lock:
            return sum(1 for _ in self._due(channel, now))

    def tidy(self, now: datetime) -> None:
        """Forget what is over, and nobody is to be told of any more."""
        with self._lock:
            for each in self._idle(now):
                if now - each.taken_at > KNOWN_FOR:
                    del self._known[each.key]
                    self._changed(each.partition)

    # What is kept -----------------------------------------------------------------------------------------------------------

    @property
    def partitions(self) -> frozenset[int]:
        """Those held."""
        return frozenset(self._partitions)

    def serial(self, partition: int) -> int:
        """How often what is kept of a partition has changed."""
        return self._partitions.get(partition, 0)

    def frame(self, partition: int) -> pl.DataFrame:
        """What is to be kept. Frames: -> KEPT."""
        with self._lock:
            rows = [
                (
                    partition,
                    json.dumps(_text(each.row)),
                    json.dumps({name: asdict(told) for name, told in each.told.items()}),
                    each.taken_at,
                )
                for each in self._known.values()
                if each.partition == partition
            ]
        return pl.DataFrame(rows, schema=KEPT, orient="row")

    def restore(self, partition: int, frames: Iterable[pl.DataFrame]) -> None:
        """Begin with what was kept, in place of what is known."""
        self.forget(partition)
        with self._lock:
            for row, told, taken_at in (each for frame in frames for each in frame.select("row", "told", "taken_at").iter_rows()):
                said = {name: Told(**last) for name, last in json.loads(told).items()}
                known = Known(partition, _row(json.loads(row)), taken_at, said)
                self._known[known.key] = known
            self._partitions[partition] = 0

    def forget(self, partition: int) -> None:
        """Let go of a partition."""
        with self._lock:
            self._partitions.pop(partition, None)
            self._known = {key: each for key, each in self._known.items() if each.partition != partition}

    # Within the lock --------------------------------------------------------------------------------------------------------

    def _due(self, channel: Channel, now: datetime) -> Iterator[tuple[Known, str]]:
        for each in self._known.values():
            due = self._due_of(channel, each, now)
            if due is not None:
                yield each, due

    def _due_of(self, channel: Channel, known: Known, now: datetime) -> str | None:
        """The state that this channel is to be told, if any."""
        row, last = known.row, known.told.get(channel.name)
        if known.waits(last, now):
            return None
        is_now = state(row)
        is_open = status(row) == OPEN
        if last is None:
            if not channel.route.takes(row) or not (is_open or _is_late_news(channel, row, now)):
                return None
        elif not is_open:
            return is_now if last.is_open else None
        elif (last.state, last.labels) == (is_now, labels(row)) and not (channel.has_updates and row["version"] > last.version):
            return None
        return None if self._mutes.cover(row, now) else is_now

    def _idle(self, now: datetime) -> list[Known]:
        """What is over, and no news to anybody; the oldest first."""
        over = [each for each in self._known.values() if status(each.row) != OPEN]
        idle = [each for each in over if all(self._due_of(channel, each, now) is None for channel in self.channels)]
        return sorted(idle, key=lambda each: each.taken_at)

    def _make_room(self, now: datetime) -> None:
        if len(self._known) <= MOST:
            return
        idle = self._idle(now)
        over = sorted((each for each in self._known.values() if status(each.row) != OPEN), key=lambda each: each.taken_at)
        gone = (idle or over or sorted(self._known.values(), key=lambda each: each.taken_at))[: MOST // 100]
        if not idle:
            self.given_up += len(gone)
            log.error("there are more than %d alerts: nobody will be told of the %d oldest", MOST, len(gone))
        for each in gone:
            del self._known[each.key]
            self._changed(each.partition)

    def _changed(self, partition: int) -> None:
        if partition in self._partitions:
            self._partitions[partition] += 1


def _is_late_news(channel: Channel, row: Alert, now: datetime) -> bool:
    """Whether somebody who never heard of an alert is told that it is over."""
    ended = row["resolved_at"] or row["updated_at"]
    return channel.kind == "webhook" and status(row) == RESOLVED and ended is not None and now - ended < KNOWN_FOR


def _is_heard(row: Alert, last: Told, now: datetime) -> bool:
    """Whether an Alertmanager that was told of it must hear it again."""
    return status(row) == OPEN or last.is_open or now.timestamp() * 1_000 - last.at_ms < SAID_ON / timedelta(milliseconds=1)


def _text(row: Alert) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _row(said: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: datetime.fromisoformat(said[name]).astimezone(UTC) for name in _TIMES if said.get(name)}
    return {**said, **times}
