"""Dead letters sent again, after a mend: to their topic and partition, with key, bytes and record time as they were, and a header that says so.

The partition, because there the other events of their visitor lie, and there it is known which events were applied. The record time, because
event times are judged and corrected by it.

**Delivery:** at least once: sent, on all replicas, then marked. What was sent and not marked when this ended is sent again by the next replay; an
event is applied once all the same, for the fold knows its `event_id`, and what is older than it remembers comes back as `too_late`.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from agents.dead_letters import is_cut
from agents.letter_look import decoded, record_ms
from agents.letter_store import Letter, LetterStore
from agents.producer import NotDelivered
from agents.topics import LARGEST_MESSAGE_BYTES, Cluster
from pipeline.checks import Bounds
from pipeline.rejects import Reason

log = logging.getLogger(__name__)

FROM_HEADER, AT_HEADER = "ebbtide-replay-of", "ebbtide-replayed-at"
FLUSH_S = 0.25
FLUSH_TIMEOUT_S = 60.0

ELSEWHERE, BEFORE, CUT = "no record of this broker", "sent again before", "not whole: too large for a dead letter"
"""Why a letter is not sent."""

WritersOf = Callable[[str], Mapping[int, Mapping[str, Any]]]
"""Family -> schemas by their ids."""


@dataclass(frozen=True)
class Plan:
    """What would be sent, and what not."""

    places: pl.DataFrame
    left_out: dict[str, int]
    """Why -> how many."""

    @classmethod
    def of(cls, found: pl.DataFrame, cluster: Cluster, *, again: bool) -> "Plan":
        """Sort out what is found. Frames: LetterStore.places."""
        partitions = pl.DataFrame(
            {"topic": list(cluster.partitions), "n": list(cluster.partitions.values())}, schema={"topic": pl.String, "n": pl.Int64}
        )
        is_cut_ = pl.Series(map(is_cut, found["detail"].to_list()), dtype=pl.Boolean)
        known = found.join(partitions, on="topic", how="left", maintain_order="left")
        is_here = (pl.col("cluster_id") == cluster.cluster_id) & (pl.col("partition") < pl.col("n").fill_null(0))
        why = (
            pl.when(~is_here | (pl.col("stage") == "sinks"))
            .then(pl.lit(ELSEWHERE))
            .when(pl.lit(is_cut_))
            .then(pl.lit(CUT))
            .when(pl.col("replayed_at").is_not_null() & (not again))
            .then(pl.lit(BEFORE))
        )
        sorted_out = known.with_columns(why.alias("why"))
        left_out = sorted_out.drop_nulls("why")["why"].value_counts(sort=True)
        return cls(sorted_out.filter(pl.col("why").is_null()).drop("n", "why"), dict(left_out.rows()))


@dataclass
class Forecast:
    """What would become of letters that are sent now."""

    n: int = 0
    readable: int = 0
    too_late: int = 0
    """Of those that can be read: so old that the fold has forgotten which events it applied, unless the worker is as far behind."""
    wrong: Counter[str] = field(default_factory=Counter)
    """Reason -> letters that still cannot be read."""

    def add(self, letters: list[Letter], writers: WritersOf, bounds: Bounds, oldest: datetime) -> None:
        """Read these as the worker would. `oldest`: events before are too late."""
        for family in sorted({letter.family for letter in letters}):
            its_own = [letter for letter in letters if letter.family == family]
            found = decoded(its_own, family, writers(family), bounds)
            self.n += len(its_own)
            self.readable += found.events.height
            self.too_late += int((found.events["event_at"] < oldest).sum())
            self.wrong.update(found.rejects["reason"].to_list())

    def told(self, horizon: timedelta) -> list[str]:
        """What a person should know before, a line each."""
        lines = []
        if self.wrong:
            reasons = ", ".join(f"{reason} {n:,}" for reason, n in self.wrong.most_common())
            lines.append(f"{self.wrong.total():,} still cannot be read, and come back as dead letters: {reasons}")
        if self.too_late:
            hours = f"{horizon / timedelta(hours=1):g} h"
            lines.append(
                f"{self.too_late:,} are older than dedup_horizon ({hours}): they come back as {Reason.TOO_LATE}, unless the worker is as far behind; "
                "a greater sessions.dedup_horizon_h, and the worker started again with it, takes them"
            )
        return lines


class Resender:
    """A producer that puts letters where they lay."""

    def __init__(self, bootstrap: str, extra: Mapping[str, str]) -> None:
        """Connect to nothing yet. `extra` are settings of librdkafka as they are, for security."""
        settings = {
            "linger.ms": 20,
            "message.max.bytes": LARGEST_MESSAGE_BYTES,
            **extra,
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,  # implies acks=all, and keeps the order
            "message.timeout.ms": round(FLUSH_TIMEOUT_S * 1_000),
        }
        self._client = Client(settings, logger=log)
        self._failure: KafkaError | None = None

    def send(self, letters: list[Letter], now: datetime) -> None:
        """Send these, and wait until they are on the broker. Raises: NotDelivered."""
        for letter in letters:
            headers = [
                (FROM_HEADER, f"{letter.cluster_id}/{letter.place}".encode()),
                (AT_HEADER, now.isoformat().encode()),
            ]
            self._produce(letter, headers)
        while self._client.flush(FLUSH_S):
            self._check()
        self._check()

    def _produce(self, letter: Letter, headers: Any) -> None:
        while True:
            try:
                self._client.produce(
                    letter.topic,
                    letter.payload,
                    letter.key_bytes,
                    letter.partition,
                    on_delivery=self._delivered,
                    timestamp=record_ms(letter),
                    headers=headers,
                )
            except BufferError:  # its queue is full
                self._client.poll(FLUSH_S)
                self._check()
            except KafkaException as error:
                message = f"{letter.place}: {error.args[0].str()}"
                raise NotDelivered(message) from error
            else:
                return

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        self._failure = self._failure or error

    def _check(self) -> None:
        if self._failure is not None:
            message = f"the broker refused a dead letter: {self._failure.str()}; what was sent before is marked"
            raise NotDelivered(message)


def replay(store: LetterStore, plan: Plan, resender: Resender, clock: Callable[[], datetime], told: Callable[[int], None]) -> int:
    """Send what is planned, and mark it, a few at a time; says how many were sent. `told` hears how far it is.

    Raises: NotDelivered, WriteFailed
    """
    sent = 0
    for letters in store.chunks(plan.places):
        now = clock()
        resender.send(letters, now)
        store.mark(letters, now)
        sent += len(letters)
        told(sent)
    return sent
