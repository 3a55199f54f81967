"""What the fold by order remembers.

Frames:  KEPT (events), KNOWN (cases), LINKS, SEEN, event ids: each found by a key, each row of one partition
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import polars as pl

from pipeline.awaited_types import SEEN
from pipeline.case_log import KNOWN
from pipeline.commerce import KEPT
from pipeline.event_ids import EventIds
from pipeline.keyed_rows import KeyedRows
from pipeline.parcel_links import LINKS
from pipeline.pieces import Piece, below, within
from pipeline.rule_marks import RuleMarks
from pipeline.tally import Tally

KEYED = ("events", "cases", "links", "seen")
_OTHERS = ("ids", "rules", "tally")


@dataclass(frozen=True)
class FulfilmentState:
    """The memory of one fold over all partitions that are ours."""

    events: KeyedRows = field(default_factory=lambda: KeyedRows(KEPT, "case_key"))
    cases: KeyedRows = field(default_factory=lambda: KeyedRows(KNOWN, "case_key"))
    links: KeyedRows = field(default_factory=lambda: KeyedRows(LINKS, "parcel_key"))
    seen: KeyedRows = field(default_factory=lambda: KeyedRows(SEEN, "seen_key"))
    ids: EventIds = field(default_factory=EventIds)
    tally: Tally = field(default_factory=Tally)
    swept_ms: int = 0
    """Highest watermark at the last sweep."""
    rules: RuleMarks = field(default_factory=RuleMarks)

    @property
    def n_open(self) -> int:
        """Documents that are open."""
        return sum(len(keys) for keys in self.cases.keys_where(lambda rows: rows["is_open"].to_numpy()))

    @property
    def n_bytes(self) -> int:
        """Memory of all that is remembered, about."""
        keyed: list[KeyedRows] = [getattr(self, name) for name in KEYED]
        return sum(rows.n_bytes for rows in keyed) + self.ids.n_bytes + self.tally.n_bytes

    def pieces(self, partition: int) -> Iterator[Piece]:
        """All that is remembered of one partition."""
        for name in (*KEYED, *_OTHERS):
            yield from below(name, getattr(self, name).pieces(partition))

    def restored(self, partition: int, frames: Mapping[str, pl.DataFrame]) -> Self:
        """This state with one more partition, from its pieces."""
        fresh = self.without(partition)
        kept = {name: getattr(fresh, name).restored(within(name, frames)) for name in (*KEYED, *_OTHERS)}
        return replace(fresh, **kept)

    def without(self, partition: int) -> Self:
        """This state after one partition was forgotten."""
        kept = {name: getattr(self, name).kept(lambda rows: (rows["partition"] != partition).to_numpy()) for name in KEYED}
        return replace(self, **kept, **{name: getattr(self, name).without(partition) for name in _OTHERS})
