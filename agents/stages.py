"""What a stage is: one topic read, one thing done with it; and how a shell drives it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

import polars as pl

from agents.defective_batch import Again
from agents.runs import Run
from agents.takeover import Estate, InputsFrom
from pipeline.decode import Decoded, Records
from pipeline.fold import State, Step
from pipeline.passed import Passed

S = TypeVar("S", bound=State)

Decode = Callable[[Records], Decoded]
"""Bytes to events: decoding with family, schemas and bounds bound to it."""

Watch = Callable[[Sequence[int], Sequence[int], pl.DataFrame], None]
"""Partition and offset of each record of a batch, and its REJECTS."""


class Fold(Protocol[S]):
    """A fold with its rules (pipeline/sessions.py)."""

    @property
    def family(self) -> str:
        """Event family it reads."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables it writes."""

    def empty(self) -> S:
        """Return the state before anything was read."""

    def step(self, state: S, batch: pl.DataFrame, watermarks: pl.DataFrame) -> Step[S]:
        """Fold one batch; an empty one means that only time went on. `watermarks`: before the batch; of what other stages pass on, after it (`watermark.BEFORE`)."""

    def told_again(self, state: S, partition: int, said: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """Of rows that were said of one partition, those that the state still says, as they are now: table -> rows, as in a Step."""

    def passed_again(
        self, state: S, partition: int, said: Mapping[str, pl.DataFrame], gone: Mapping[str, pl.DataFrame]
    ) -> tuple[Passed, ...]:
        """The same to the stages behind; `gone`: what is taken back of it. Asked if there are any."""


@dataclass(frozen=True)
class Stage(Generic[S]):
    """A fold over one topic."""

    name: str
    """Names its topics of state for ever."""
    topic: str
    fold: Fold[S]
    decode: Decode
    watch: Watch = field(default=lambda _partitions, _offsets, _rejects: None)
    """Hears what could not be decoded before anything is folded; may end the process (agents.rubbish_limit)."""
    again: Again = field(default_factory=Again)
    """How a batch that it failed over is folded again."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Where it sends rows for other stages (pipeline.passed) -> internal topic."""
    upstream: tuple[tuple[str, str], ...] = ()
    """Of an internal topic: the stages that write to it, each with the topic that it reads. None: the topic holds events."""
    apart: Mapping[str, str] = field(default_factory=dict)
    """Of those the ones whose time is told apart as well -> the column beside frames.WATERMARKS in which it stands."""


@dataclass(frozen=True)
class ShellSettings:
    """How a shell trades latency, throughput and repeated work. Validates itself."""

    max_batch_events: int = 200_000
    """A step takes no further run once it has so many: a backlog is folded faster in large steps (1.25 times that of 100,000), and what just came is never so much."""
    max_batch_bytes: int = 128 << 20
    """The same in bytes."""
    linger_s: float = 0.1
    """How long a step waits for more than the first run."""
    checkpoint_s: float = 5.0
    """Time between checkpoints; longer where a checkpoint is expensive, so that they take a tenth of the time at most."""
    inbox_bytes: int = 128 << 20
    """Above it a stage's partitions are not fetched, below half of it again."""
    time_speed: float = 1.0
    """Seconds of event time a second, in a partition that is caught up and quiet."""
    downtime_counts: bool = True
    """Whether event time goes on while nobody runs; not where it is simulated."""
    inputs_from: InputsFrom | None = None
    """Where to go on when the next record is not on the broker; None: refuse."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("max_batch_events", "max_batch_bytes", "checkpoint_s", "inbox_bytes", "time_speed"):
            if getattr(self, name) <= 0:
                message = f"{name} must be above 0, not {getattr(self, name)}"
                raise ValueError(message)
        if self.linger_s < 0:
            message = f"linger_s must not be negative, and is {self.linger_s}"
            raise ValueError(message)


class Work(Estate, Protocol):
    """What a shell drives: a fold (agents.folding) or the sink (agents.sinking).

    One call at a time; those that are not properties run in the stage's thread, but `quiet_time` and `prepare`.
    """

    @property
    def has_room(self) -> bool:
        """Whether it takes more. From any thread."""

    @property
    def time_matters(self) -> bool:
        """Whether a step without records can say something."""

    @property
    def dirty(self) -> frozenset[int]:
        """Partitions that stand further than their last checkpoint."""

    @property
    def holds_news(self) -> bool:
        """Whether more has come since the last checkpoint than time: that comes for ever."""

    def positions(self) -> Mapping[int, int]:
        """Partition -> last offset taken, of all it holds: records after it come next."""

    def quiet_time(self, is_caught_up: Callable[[int], bool]) -> Mapping[int, timedelta]:
        """How much event time has passed without events, since it was asked last."""

    def prepare(self, runs: list[Run]) -> None:
        """Get ready for these, which `step` will most likely be given next. In a thread of its own, while another step is made."""

    def step(self, runs: list[Run], quiet: Mapping[int, timedelta]) -> None:
        """Take these records, which come next, and that time, and say what follows."""

    def saved(self, partition: int) -> None:
        """Note that what `checkpoint` said last has been kept."""
