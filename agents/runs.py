"""Runs: what an agent is handed instead of records, and what makes Faust hand them over.

Faust costs about 100 µs a message whatever is in it; so a message is all that has arrived of one partition.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import faust
from confluent_kafka import Message
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP


class Run(list[Message]):
    """Messages of one partition, and a promise: they are every record there is in `(after, last]`.

    A fold takes a run only if `after` joins its position. Then nothing that Faust drops, repeats or delays can matter.
    Offsets within a run may have gaps (compaction, control records); what is missing there does not exist.
    """

    after: int
    """Offset before the first record covered; -1 when the partition is covered from offset 0."""
    seeks: int
    """`consumer.seeks` when the run was fetched: a hole in front of an older run has been asked for already."""
    size: int
    """Bytes of all values."""

    def __init__(self, *, after: int, seeks: int) -> None:
        """Make an empty run that covers nothing yet; `extend` it with messages."""
        super().__init__()
        self.after = after
        self.seeks = seeks
        self.size = 0

    def add(self, messages: list[Message]) -> None:
        """Append messages that follow, and count their bytes."""
        self.extend(messages)
        self.size += sum(map(len, messages))  # len(message) is that of its value

    def join(self, following: "Run") -> None:
        """Append the run that was fetched next."""
        self.extend(following)
        self.size += following.size

    @property
    def tp(self) -> TP:
        """The partition; a run that is handed over is never empty."""
        return TP(cast("str", self[0].topic()), cast("int", self[0].partition()))

    @property
    def last(self) -> int:
        """Offset of the last record."""
        return cast("int", self[-1].offset())

    # map() over the C method costs a fifth of a comprehension, and this runs once a record.
    def values(self) -> list[bytes | None]:
        """Every value; None is a tombstone."""
        return list(map(Message.value, self))

    def keys(self) -> list[bytes | None]:
        """Every key."""
        return list(map(Message.key, self))

    def offsets(self) -> list[int]:
        """Every offset, ascending."""
        return cast("list[int]", list(map(Message.offset, self)))

    def record_times_ms(self) -> list[int]:
        """Every Kafka record time, in milliseconds since 1970 UTC."""
        return [at_ms for _, at_ms in map(Message.timestamp, self)]


class RunScheduling(DefaultSchedulingStrategy):
    """One Faust message a run, instead of the round robin over single records."""

    def iterate(self, records: Mapping[TP, Any]) -> Iterator[tuple[TP, Any]]:
        """Hand over every run as it is."""
        return iter(records.items())


class RunSchema(faust.Schema):  # type: ignore[type-arg]  # neither a key type nor a value type: nothing is decoded here
    """Decodes nothing: the value of a Faust message is the run."""

    def loads_key(self, app: Any, message: Any, **_options: Any) -> Any:  # noqa: ARG002 - Faust's signature
        """Leave the key alone: a run has none."""
        return message.key

    def loads_value(self, app: Any, message: Any, **_options: Any) -> Any:  # noqa: ARG002 - Faust's signature
        """Hand over the run."""
        return message.value


def sizes(runs: Iterable[Run]) -> dict[int, int]:
    """Partition -> messages of it."""
    found: dict[int, int] = {}
    for run in runs:
        found[run.tp.partition] = found.get(run.tp.partition, 0) + len(run)
    return found
