"""What a stage remembers of a partition beside its fold's state, and of what it has done."""

from dataclasses import dataclass, field

from agents.books import Books
from agents.producer import Sent
from agents.versions import VersionClock
from pipeline.watermark import UNREAD


@dataclass
class Held:
    """What is remembered of one partition beside the fold's state."""

    position: int
    clock: VersionClock
    fates: dict[str, int]
    books: Books
    said_to: int
    """Offset of the last message on the rows topic that the state at `last_said` or before has said."""
    said_epoch: int
    """The newest epoch told there by then."""
    watermark_ms: int = UNREAD
    turn: int = 0
    """How often somebody ordered to begin elsewhere."""
    epoch: int = -1
    last_said: Sent | None = None
    """The last message of ours on its way there."""

    @property
    def told_ms(self) -> int | None:
        """The watermark; None: nothing read yet."""
        return None if self.watermark_ms == UNREAD else self.watermark_ms


@dataclass
class Progress:
    """What a stage has done since the process began, for people who watch."""

    events: int = 0
    """Records taken."""
    rows: dict[str, int] = field(default_factory=dict)
    """Table -> rows emitted."""
    steps: int = 0
    fates: dict[tuple[int, str], int] = field(default_factory=dict)
    """Partition, fate -> records; `n_late` counts within applied."""
    dead_letters: dict[str, int] = field(default_factory=dict)
    """Reason -> records that could not be used."""
