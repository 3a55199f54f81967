"""What one partition of an internal topic has heard of its sources, and how far time has come there: as far as with the slowest of them.

Time:    watermark = minimum over all sources; it never goes back
Cases:   a source that has told nothing yet -> holds the watermark back | idle -> left out until it tells of a record
         all idle -> there is no watermark | idle, and then behind -> the watermark waits for it
         a batch of an epoch below the newest -> of a worker that had lost the partition: ignored
         a row that was heard already -> its source was restarted and says it again: the offset tells
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pipeline.about import About, Source
from pipeline.watermark import UNREAD


@dataclass(frozen=True)
class Heard:
    """What is remembered of one source. A checkpoint keeps it."""

    source: Source
    epoch: int = -1
    """The newest; batches of a lower one are ignored."""
    turn: int = 0
    """As the source told it last."""
    offset: int = -1
    """Original offset of the last record that came from it: what comes again is below."""
    watermark_ms: int | None = None
    """As far as it told last; None: nothing yet."""
    is_idle: bool = False
    fates: Mapping[str, int] = field(default_factory=dict)
    """What became of the records that came from it: fate -> how many; `n_late` counts within applied."""

    def after(self, about: About, last_row: int = -1) -> "Heard | None":
        """This after a message; None if the message is to be ignored."""
        if about.epoch < self.epoch:
            return None
        known = self if about.turn == self.turn else replace(self, turn=about.turn, offset=-1)
        if about.is_forwarded:
            return replace(known, epoch=about.epoch)
        told = [ms for ms in (self.watermark_ms, about.watermark_ms) if ms is not None]
        return replace(
            known,
            epoch=about.epoch,
            offset=max(known.offset, last_row),
            watermark_ms=max(told, default=None),
            is_idle=about.is_idle,
        )

    def counted(self, fates: Mapping[str, int]) -> "Heard":
        """This after so many more records had these fates."""
        return replace(self, fates={fate: self.fates.get(fate, 0) + fates.get(fate, 0) for fate in {**self.fates, **fates}})


def slowest(reached_ms: int, heard: Iterable[Heard]) -> int:
    """How far time has come, if it had come this far before (UNREAD: there is no watermark)."""
    counted = [UNREAD if each.watermark_ms is None else each.watermark_ms for each in heard if not each.is_idle]
    return max(reached_ms, min(counted, default=UNREAD))
