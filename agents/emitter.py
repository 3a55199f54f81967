"""What a shop's page and its systems have in them: a producer that sends the events of one family, keyed as the contract says.

**Delivery:** exactly once and in order within a partition, on all replicas, once `flush` has returned. What is not delivered is raised.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

import polars as pl
from confluent_kafka import KafkaError, Message
from confluent_kafka import Producer as Client

from agents.producer import NotDelivered
from pipeline.encode import encode
from pipeline.simulator.entries import contract_of

log = logging.getLogger(__name__)

PARTITIONER = "murmur2_random"
"""That of Java clients: all emitters of a topic must have the same."""
KEYS: Mapping[str, tuple[str, ...]] = {
    "clickstream": ("visitor_id",),
    "order": ("order_id",),
    "delivery": ("order_id", "delivery_id"),
    "ticket": ("ticket_id", "customer_id", "visitor_id", "account_id", "order_id", "event_id"),
}
"""Family -> the columns of which the first that says something is the key."""
ANSWER_TIMEOUT_S = 30.0
LOOK_S = 0.25
"""How long to wait for the broker before looking for failures."""
FLUSH_TIMEOUT_S = 60.0


class Emitter:
    """A producer of events of one family, whose failures are raised."""

    def __init__(
        self, bootstrap: str, topic: str, schema_id: int, librdkafka: Mapping[str, Any], *, family: str = "clickstream"
    ) -> None:
        """Connect. `librdkafka` are settings of the client as they are, for security.

        Raises: NotDelivered if the topic is not there; KafkaException if the broker is not
        """
        settings = {
            "linger.ms": 20,
            "compression.type": "lz4",
            **librdkafka,
            "bootstrap.servers": bootstrap,
            "partitioner": PARTITIONER,
            "enable.idempotence": True,  # implies acks=all
            "delivery.report.only.error": True,
            "on_delivery": self._on_delivery,
        }
        self._client = Client(settings, logger=log)
        self._topic, self._schema_id, self._family = topic, schema_id, family
        self._failure: KafkaError | None = None
        if topic not in self._client.list_topics(timeout=ANSWER_TIMEOUT_S).topics:
            message = f"there is no topic {topic} on {bootstrap}"
            raise NotDelivered(message)

    def send(self, events: pl.DataFrame) -> None:
        """Put events on their way; waits while too many are on their way already."""
        values = encode(events.select(contract_of(self._family).names()), self._family, self._schema_id)
        keys, at_ms = (
            events.select(pl.coalesce(KEYS[self._family])).to_series().to_list(),
            events["record_at"].to_physical().to_list(),
        )
        produce, topic = self._client.produce, self._topic
        for key, value, record_ms in zip(keys, values, at_ms, strict=True):
            while True:
                try:
                    produce(topic, value, key, timestamp=record_ms)
                except BufferError:  # its queue is full
                    self._client.poll(LOOK_S)
                    self._check()
                else:
                    break
        self._client.poll(0)
        self._check()

    def flush(self) -> None:
        """Wait until all is on the broker."""
        until = time.monotonic() + FLUSH_TIMEOUT_S
        while left := self._client.flush(LOOK_S):  # in short waits: Ctrl-C is heard between two
            self._check()
            if time.monotonic() >= until:
                message = f"the broker did not take the last {left} events within {FLUSH_TIMEOUT_S:.0f} s"
                raise NotDelivered(message)
        self._check()

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        self._failure = self._failure or error

    def _check(self) -> None:
        if self._failure is not None:
            message = f"the broker refused an event: {self._failure.str()}"
            raise NotDelivered(message)
