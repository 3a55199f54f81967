"""The books of a partition: every offset from the first one on is a record with a fate, or is known to hold none.

Records are counted by the fold, offsets by the transport; the two know nothing of each other, so what one of them loses or counts
twice shows as a difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeline.frames import FATE_NAMES, HEARD, PASSED


@dataclass(frozen=True)
class Books:
    """What lies between the first offset of a stage and its position, beside the records that it has folded."""

    began: int
    """First offset of the account."""
    n_absent: int = 0
    """Offsets under which no record came: markers of transactions, what was aborted, what was compacted away before we came."""
    n_skipped: int = 0
    """Offsets passed by on somebody's order, less those read again on it (`--inputs-from`)."""

    def took(self, after: int, last: int, n: int) -> "Books":
        """The books after a run of so many records that covers the offsets in `(after, last]`."""
        return replace(self, n_absent=self.n_absent + (last - after) - n)

    def skipped(self, n: int) -> "Books":
        """The books after so many offsets were passed by; below 0: are read again."""
        return replace(self, n_skipped=self.n_skipped + n)

    def unaccounted(self, position: int, fates: Mapping[str, int]) -> int:
        """Offsets up to the position that are in no account: 0 when the books balance; below 0: something was counted twice."""
        return position + 1 - self.began - self.n_absent - self.n_skipped - n_read(fates)


def n_read(fates: Mapping[str, int]) -> int:
    """Records that have a fate; `n_late` is none, it counts within applied."""
    return sum(fates.get(fate, 0) for fate in (*FATE_NAMES, PASSED, HEARD))
