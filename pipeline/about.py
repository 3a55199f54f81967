"""What a message between stages says beside its rows: who says it, under which epoch, and how far time had come there."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Source:
    """Who says something: a stage, about one partition of its input."""

    stage: str
    topic: str
    partition: int


@dataclass(frozen=True)
class About:
    """What a message says beside its rows."""

    source: Source
    epoch: int
    """Offset of the claim under which it was written."""
    last_offset: int
    """Position of the source after the step."""
    watermark_ms: int | None
    """How far event time had come there, with rows for another stage: before them; None: nothing read yet."""
    version: int = 0
    """Version of all rows."""
    table: str = ""
    """Table of the rows, or family of the events; '' where there are none."""
    is_marker: bool = False
    """Whether it only tells the epoch: batches of this source and a lower one are to be ignored from here on."""
    turn: int = 0
    """Grows when the source begins elsewhere in its input on order: what it says of offsets before that, it says anew."""
    is_idle: bool = False
    """Whether the source has nothing to read and never had: nobody need wait for it."""
    is_forwarded: bool = False
    """Whether the rows were sent on by who held their key: they say nothing of how far time has come."""

    def to_metadata(self) -> dict[bytes, bytes]:
        """Metadata of the schema."""
        said = {
            "table": self.table,
            "stage": self.source.stage,
            "source_topic": self.source.topic,
            "source_partition": self.source.partition,
            "epoch": self.epoch,
            "last_offset": self.last_offset,
            "watermark_ms": "" if self.watermark_ms is None else self.watermark_ms,
            "version": self.version,
            **({"turn": self.turn} if self.turn else {}),
            **{name: 1 for name, is_so in self._marks().items() if is_so},
        }
        return {name.encode(): str(value).encode() for name, value in said.items()}

    def _marks(self) -> dict[str, bool]:
        return {"marker": self.is_marker, "idle": self.is_idle, "forwarded": self.is_forwarded}

    @classmethod
    def from_metadata(cls, metadata: dict[bytes, bytes]) -> Self:
        """Read a schema's metadata. Raises: KeyError if it is none of ours."""
        said = {name.decode(): value.decode() for name, value in metadata.items()}
        return cls(
            source=Source(said["stage"], said["source_topic"], int(said["source_partition"])),
            epoch=int(said["epoch"]),
            last_offset=int(said["last_offset"]),
            watermark_ms=int(said["watermark_ms"]) if said["watermark_ms"] else None,
            version=int(said["version"]),
            table=said["table"],
            is_marker="marker" in said,
            turn=int(said.get("turn", 0)),
            is_idle="idle" in said,
            is_forwarded="forwarded" in said,
        )


@dataclass(frozen=True)
class Head:
    """A message as it lies in an internal topic, without its rows."""

    partition: int
    offset: int
    about: About
    last_row: int = -1
    """Original offset of its last row; -1: none of its rows is a record."""
