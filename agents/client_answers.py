"""What the Kafka client answers to a poll: records, ends of logs, errors that pass and errors that do not; and what its statistics say."""

import json
import logging
from typing import cast

from confluent_kafka import KafkaError, KafkaException, Message
from faust.types import TP

log = logging.getLogger(__name__)

FATAL = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError._BAD_MSG,  # noqa: SLF001 - librdkafka's own codes begin with an underscore
    KafkaError._BAD_COMPRESSION,  # noqa: SLF001 - as above
}
"""Errors that waiting does not mend, or after which a record would be missing in a run."""

HEARD_LATELY_US = 2_000_000
"""A broker that is being fetched from answers every half second, events or none."""


class PositionLost(RuntimeError):
    """The log was cut behind us, or ends before us: what follows our position is not on the broker."""


def sorted_out(messages: list[Message]) -> tuple[list[Message], dict[TP, int]]:
    """The records, and the ends of the logs that a fetch came to; errors come in the same list as the records.

    Raises: PositionLost; KafkaException - an error that waiting does not mend
    """
    if not any(map(Message.error, messages)):
        return messages, {}
    ends: dict[TP, int] = {}
    for message in messages:
        error = message.error()
        if error is None:
            continue
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - as above
            ends[TP(cast("str", message.topic()), cast("int", message.partition()))] = cast("int", message.offset())
            continue
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - as above
            lost = f"{message.topic()}-{message.partition()}: the log does not hold the next record: {error.str()}"
            raise PositionLost(lost)
        if error.fatal() or error.code() in FATAL:
            raise KafkaException(error)
        log.warning("consumer: %s", error.str())
    return [message for message in messages if message.error() is None], ends


def log_ends(statistics: str) -> dict[TP, int]:
    """The end of every log that is being fetched from, also when it is empty, of brokers that have answered lately."""
    said = json.loads(statistics)
    awake = {
        broker["nodeid"]
        for broker in said["brokers"].values()
        if broker["state"] == "UP" and 0 <= broker["rxidle"] < HEARD_LATELY_US
    }
    return {
        TP(topic, at["partition"]): at["hi_offset"]
        for topic, of_topic in said["topics"].items()
        for at in of_topic["partitions"].values()
        if at["leader"] in awake and at["fetch_state"] == "active" and at["hi_offset"] >= 0
    }
