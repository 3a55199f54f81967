"""What a stage writes goes through its own Kafka producer: rows, markers, claims, chunks, manifests.

**Delivery:** in order within a partition, on all replicas when `flush` returns. What cannot be delivered is a defect: nothing
may be said after it. While the broker is away it waits, however long.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from agents.topics import LARGEST_MESSAGE_BYTES

log = logging.getLogger(__name__)

Headers = list[tuple[str, str | bytes | None]]

POLL_S = 0.25
"""How soon a call that waits for the broker notices that we close."""


class NotDelivered(RuntimeError):
    """A message was refused for good."""


class Closed(RuntimeError):
    """The producer was closed while somebody waited for it."""


@dataclass
class Sent:
    """A message on its way."""

    offset: int = -1
    """Where it lies, once `flush` has returned."""


class Producer:
    """A producer of one stage. One thread at a time; `close` from any."""

    def __init__(self, bootstrap: str, extra: Mapping[str, object]) -> None:
        """Connect to nothing yet. `extra` are settings of librdkafka as they are, for security."""
        settings: dict[str, Any] = {
            "linger.ms": 5,
            "message.max.bytes": LARGEST_MESSAGE_BYTES,
            "queue.buffering.max.kbytes": 131_072,
            **extra,
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,  # else a retry could change the order
            "message.timeout.ms": 0,  # a broker that is away comes back, or the process is ended
            "error_cb": self._on_error,
        }
        self._client = Client(settings, logger=log)
        self._failure: KafkaError | None = None
        self._closing = threading.Event()

    def send(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
    ) -> Sent:
        """Put a message on its way; waits while too much is on its way already."""
        sent = Sent()

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._failure = self._failure or error
            else:
                sent.offset = message.offset() or 0

        while True:
            try:
                self._client.produce(topic, value, key, partition, on_delivery=delivered, headers=headers)
            except BufferError:  # its queue is full
                self._poll(POLL_S)
            except KafkaException as error:
                message = f"{topic}-{partition}: {error.args[0].str()}"
                raise NotDelivered(message) from error
            else:
                self._poll(0)
                return sent

    def flush(self) -> None:
        """Wait until everything sent so far is on the broker.

        Raises: NotDelivered - at least one message was refused; Closed - closed meanwhile
        """
        while self._client.flush(POLL_S):
            self._check()
        self._check()

    def close(self) -> None:
        """Let go of whoever waits here; what is not on the broker yet is recomputed by whoever comes next."""
        self._closing.set()

    def _poll(self, timeout_s: float) -> None:
        self._client.poll(timeout_s)
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            message = f"the broker refused a message: {self._failure.str()}"
            raise NotDelivered(message)
        if self._closing.is_set():
            raise Closed("the producer was closed")

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = self._failure or error
        else:
            log.warning("kafka: %s", error.str())
