"""Telling the channels: a thread of its own, with a task for each of them, so that one that is slow or away keeps nobody waiting.

**Delivery:** at least once; what news carries the same `Idempotency-Key` is the same. What fails is tried again, for ever, ever more seldom (up to five minutes) and
when the receiver asks for it; what the receiver refuses (any answer but 2xx, 408, 425, 429 and 5xx) is told in the log, counted, and not tried again.
"""

import asyncio
import json
import logging
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from agents import logs
from agents.alert_desk import SAID_ON, Desk, Key, News
from agents.alert_settings import Channel
from agents.defects import end_process
from pipeline.alert_words import (
    OPEN,
    as_chat,
    as_json,
    for_alertmanager,
    heartbeat_as_chat,
    heartbeat_as_json,
    labels,
    status,
    watchdog,
)
from sinks.outgoing import Answer, post, session, signature

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S, LONGEST_ASKED_S = 1.0, 300.0, 3_600.0
"""How long a channel that failed is left alone: first, at most, and at most where it asks for it."""
LOOK_S = 5.0
"""How often a channel with nothing to be told looks whether something is due: a mute may have ended."""
AT_ONCE = 500
"""Alerts that an Alertmanager is told in one request."""
LIVES_FOR = 4
"""So many repeats an alert lives there after the last word, as Prometheus has it."""
HEARTBEATS_BY = 0
"""Whoever holds this partition of the topic of alerts sends the heartbeats."""


@dataclass
class Reached:
    """How it went with one channel, since the process began. One thread writes, any reads."""

    delivered: int = 0
    failed: int = 0
    refused: int = 0
    succeeded_at: float | None = None
    """When it took something last, by `time.monotonic`."""
    failing_since: float | None = None
    """Since when everything failed or was refused; None: the last word was taken."""
    waits_s: float = field(default=0.0, repr=False)
    """How long it is left alone now."""

    def heard(self, answer: Answer) -> None:
        """Count an answer."""
        now = time.monotonic()
        if answer.is_well:
            self.delivered, self.succeeded_at, self.failing_since, self.waits_s = self.delivered + 1, now, None, 0.0
            return
        self.failing_since = self.failing_since or now
        if answer.is_final:
            self.refused += 1
            return
        self.failed += 1
        self.waits_s = min(LONGEST_WAIT_S, max(FIRST_WAIT_S, 2 * self.waits_s))

    def rest(self, desk: Desk) -> None:
        """Note that there is nothing to tell; if the alerts are somebody else's, whether the channel can be reached is as well."""
        if not desk.partitions:
            self.failing_since, self.waits_s = None, 0.0

    def patience_s(self, answer: Answer) -> float:
        """How long to leave it alone after this."""
        wait_s = self.waits_s * random.uniform(0.5, 1.0)  # noqa: S311 - so that many do not come back at once
        return max(wait_s, min(answer.retry_after_s or 0.0, LONGEST_ASKED_S))


class Delivery:
    """Tells the channels of what is on the desk, until it is closed."""

    def __init__(self, desk: Desk, prefix: str, stirred: Callable[[], None] = lambda: None) -> None:
        """Take the desk. `stirred` is called, from the thread, when somebody was told something."""
        self.desk, self.prefix, self.stirred = desk, prefix, stirred
        self.reached = {channel.name: Reached() for channel in desk.channels}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._events: dict[str, asyncio.Event] = {}
        self._starting, self._closed = threading.Lock(), False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to tell, if that has not begun."""
        with self._starting:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
                self._thread.start()

    def look(self) -> None:
        """Say that there may be news. From any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the process is ending
                self._loop.call_soon_threadsafe(self._wake)

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop telling; what was not told is told by whoever comes next."""
        with self._starting:
            self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(timeout_s)

    # In the thread ----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._tell())
        except BaseException as error:  # noqa: BLE001 - a thread that dies in silence would tell nobody anything
            end_process(error)

    async def _tell(self) -> None:
        self._events = {channel.name: asyncio.Event() for channel in self.desk.channels}
        self._loop = asyncio.get_running_loop()
        if self._closed:  # before it had a loop to be told so
            return
        tasks = [asyncio.create_task(self._channel(channel)) for channel in self.desk.channels]
        ended, running = await asyncio.wait([asyncio.create_task(self._stop.wait()), *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for task in ended:
            task.result()  # what no channel expects is a defect

    def _wake(self) -> None:
        for event in self._events.values():
            event.set()

    async def _channel(self, channel: Channel) -> None:
        async with session(allow_private=channel.allow_private) as through:
            telling = _Webhook(self, channel, through) if channel.kind == "webhook" else _Alertmanager(self, channel, through)
            event = self._events[channel.name]
            while True:
                event.clear()
                wait = await telling.turn()
                if wait.is_for_news:
                    with suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(event.wait(), wait.seconds)
                else:
                    await asyncio.sleep(wait.seconds)


@dataclass(frozen=True)
class _Wait:
    """How long a channel is left alone."""

    seconds: float
    is_for_news: bool = False
    """Whether there is nothing to be told, and news end it."""


class _Telling(ABC):
    """One channel being told."""

    def __init__(self, delivery: Delivery, channel: Channel, through: aiohttp.ClientSession) -> None:
        self._delivery, self.channel, self._through = delivery, channel, through
        self._desk, self._reached = delivery.desk, delivery.reached[channel.name]

    @abstractmethod
    async def turn(self) -> _Wait:
        """Tell something, if there is something."""

    async def _sent(self, what: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Send, count, and say what went wrong: the first failure of a row, and everything that is refused."""
        was_failing = self._reached.failing_since is not None
        answer = await post(self._through, self.channel.url, body, headers)
        self._reached.heard(answer)
        fields = logs.about(stage="alerting", channel=self.channel.name)
        if answer.is_final:
            log.error("channel %s does not take %s, and is not asked again: %s", self.channel.name, what, answer, extra=fields)
        elif not answer.is_well and not was_failing:
            log.warning("channel %s cannot be told of %s, which is tried again: %s", self.channel.name, what, answer, extra=fields)
        elif answer.is_well and was_failing:
            log.warning("channel %s takes what it is told again", self.channel.name, extra=fields)
        return answer

    def _told(self, news: Sequence[News]) -> None:
        now = datetime.now(UTC)
        for each in news:
            self._desk.told(self.channel, each, now)
        self._delivery.stirred()

    @property
    def _is_ours(self) -> bool:
        """Whether the heartbeats are ours to send."""
        return HEARTBEATS_BY in self._desk.partitions


class _Webhook(_Telling):
    """A request for each news, one after the other; one that failed gives way to others, and to a heartbeat."""

    def __init__(self, delivery: Delivery, channel: Channel, through: aiohttp.ClientSession) -> None:
        super().__init__(delivery, channel, through)
        self._failures: dict[Key, int] = {}
        self._beat_at, self._was_beat = float("-inf"), False

    async def turn(self) -> _Wait:
        now = datetime.now(UTC)
        self._desk.tidy(now)
        news = self._desk.news(self.channel, now)
        self._failures = {each.key: self._failures[each.key] for each in news if each.key in self._failures}
        every_s = self.channel.heartbeat_s
        due_s = self._beat_at + every_s - time.monotonic() if every_s and self._is_ours else LOOK_S
        if not news and due_s > 0:
            self._reached.rest(self._desk)
            return _Wait(min(LOOK_S, due_s), is_for_news=True)
        self._was_beat = due_s <= 0 and not (news and self._was_beat)
        return await (self._beat() if self._was_beat else self._tell(min(news, key=lambda each: self._failures.get(each.key, 0))))

    async def _tell(self, news: News) -> _Wait:
        alert, told = news.row, news.state
        body = as_chat(alert, told) if self.channel.is_chat else as_json(alert, told)
        answer = await self._sent(f"alert {alert['alert_id']} ({told})", body, signed(self.channel, body, news.idempotency_key))
        if answer.is_well or answer.is_final:
            self._told([news])
        else:
            self._failures[news.key] = self._failures.get(news.key, 0) + 1
        return _Wait(self._reached.patience_s(answer))

    async def _beat(self) -> _Wait:
        prefix, channel = self._delivery.prefix, self.channel
        body = heartbeat_as_chat(prefix) if channel.is_chat else heartbeat_as_json(prefix, channel.name)
        answer = await self._sent("a heartbeat", body, signed(channel, body, f"heartbeat:{int(time.time())}"))
        if answer.is_well or answer.is_final:
            self._beat_at = time.monotonic()
        return _Wait(self._reached.patience_s(answer))


class _Alertmanager(_Telling):
    """All that is open in one request, again and again, for it forgets what it does not hear of."""

    def __init__(self, delivery: Delivery, channel: Channel, through: aiohttp.ClientSession) -> None:
        super().__init__(delivery, channel, through)
        self._repeats_at = float("-inf")

    async def turn(self) -> _Wait:
        now = datetime.now(UTC)
        self._desk.tidy(now)
        left_s = self._repeats_at - time.monotonic()
        if not self._desk.partitions or (left_s > 0 and not self._desk.news(self.channel, now)):
            self._reached.rest(self._desk)
            return _Wait(min(LOOK_S, max(left_s, FIRST_WAIT_S)), is_for_news=True)
        ends_at = now + timedelta(seconds=LIVES_FOR * self.channel.repeat_s)
        standing = self._desk.standing(self.channel, now)
        dog = [watchdog(self._delivery.prefix, self.channel.name, ends_at)] if self._is_ours else []
        for first in range(0, max(len(standing), 1), AT_ONCE):
            some = standing[first : first + AT_ONCE]
            entries = [*(dog if first == 0 else ()), *(entry for each in some for entry in entries_of(each, now, ends_at))]
            if entries:
                answer = await self._sent(f"{len(some)} alerts", json.dumps(entries).encode(), {})
                if not (answer.is_well or answer.is_final):
                    return _Wait(self._reached.patience_s(answer))
                self._told([each for each in some if each.is_new])
        self._repeats_at = time.monotonic() + self.channel.repeat_s
        return _Wait(0.0)


def entries_of(news: News, now: datetime, ends_at: datetime) -> list[dict[str, Any]]:
    """An alert as an Alertmanager is told it: open under its labels, and ended under those that it had."""
    row, last, ended = news.row, news.last, min(news.row["resolved_at"] or now, now)
    if last is None:
        return [for_alertmanager(row, labels(row), now=now, ends_at=ends_at if status(row) == OPEN else ended)]
    is_recent = now.timestamp() * 1_000 - last.at_ms < SAID_ON / timedelta(milliseconds=1)
    had = [*([last.labels] if last.labels else []), *([last.was] if last.was and is_recent else [])]
    if status(row) != OPEN:
        return [for_alertmanager(row, each, now=now, ends_at=ended) for each in had]
    its_labels = labels(row) if news.is_new or not last.labels else last.labels  # what is muted goes on as it is known
    gone = [each for each in had if each != its_labels]
    return [
        for_alertmanager(row, its_labels, now=now, ends_at=ends_at),
        *(for_alertmanager(row, each, now=now, ends_at=now) for each in gone),
    ]


def signed(channel: Channel, body: bytes, idempotency_key: str) -> dict[str, str]:
    """The headers of a webhook."""
    timestamp = int(time.time())
    headers = {"Idempotency-Key": idempotency_key, "Ebbtide-Timestamp": str(timestamp)}
    if channel.secret:
        headers["Ebbtide-Signature"] = signature(channel.secret, timestamp, body)
    return headers
