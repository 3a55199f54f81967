"""What the fold by person remembers.

A *holder* is a key (keys.py) at which records lie, its own and what others have sent on. Of each record it is known where it was sent to, if it is not at home.

Frames:  RECORDS of each kind, HOLDERS, HELD_LINKS, SEEN, event ids: each found by a key, each row of one partition
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import polars as pl

from pipeline.awaited_types import SEEN
from pipeline.event_ids import EventIds
from pipeline.events import event_schema
from pipeline.frames import schema
from pipeline.groups import NEVER
from pipeline.keyed_rows import KeyedRows
from pipeline.person_log import FACT_IDS, FACTS
from pipeline.pieces import Piece, below, within
from pipeline.rule_marks import RuleMarks
from pipeline.tally import Tally

PLACED = schema(
    {
        "holder": pl.UInt64,
        "partition": pl.Int32,
        "record": pl.UInt64,
        "version": pl.Int64,
        "own_key": pl.String,
        "given_ms": pl.Int64,
        "sent_to": pl.String,
        "sent_ms": pl.Int64,
    }
)
"""Where a record lies. `record`: a hash of its id; `own_key`: the one under which it lies for ever (null: this one); `given_ms`: by which time its person is looked for, as who sent it on said it (null: by its own); `sent_to`, `sent_ms`:
the key that it was sent on to and the time that went with it (null: it is at home)."""

KINDS: dict[str, pl.Schema] = {"ticket": event_schema("ticket"), **FACTS}
"""Kind of record -> its own columns."""
IDS: dict[str, tuple[str, ...]] = {"ticket": ("site", "event_id"), **FACT_IDS}
"""Kind of record -> what it is found by."""
RECORDS = {kind: schema({**PLACED, **columns}) for kind, columns in KINDS.items()}

HOLDERS = schema(
    {
        "holder": pl.UInt64,
        "partition": pl.Int32,
        "site": pl.String,
        "key": pl.String,
        "told_ms": pl.Int64,
        "next_ms": pl.Int64,
        "needed_ms": pl.Int64,
    }
)
"""`told_ms`: the watermark at which it was told last; `next_ms`: the first time at which something about it changes by itself; `needed_ms`: until when something may still
come for it."""

HELD_LINKS = schema(
    {
        "holder": pl.UInt64,
        "partition": pl.Int32,
        "belongs_to": pl.String,
        "event_ms": pl.Int64,
        "told_by": pl.String,
    }
)

_KEYED = (*KINDS, "holders", "links", "seen")
_OTHERS = ("ids", "rules", "tally")


@dataclass(frozen=True)
class PersonState:
    """The memory of one fold over all partitions that are ours."""

    ticket: KeyedRows = field(default_factory=lambda: KeyedRows(RECORDS["ticket"], "holder"))
    visit: KeyedRows = field(default_factory=lambda: KeyedRows(RECORDS["visit"], "holder"))
    case: KeyedRows = field(default_factory=lambda: KeyedRows(RECORDS["case"], "holder"))
    lapse: KeyedRows = field(default_factory=lambda: KeyedRows(RECORDS["lapse"], "holder"))
    signal: KeyedRows = field(default_factory=lambda: KeyedRows(RECORDS["signal"], "holder"))
    holders: KeyedRows = field(default_factory=lambda: KeyedRows(HOLDERS, "holder"))
    links: KeyedRows = field(default_factory=lambda: KeyedRows(HELD_LINKS, "holder"))
    seen: KeyedRows = field(default_factory=lambda: KeyedRows(SEEN, "seen_key"))
    ids: EventIds = field(default_factory=EventIds)
    rules: RuleMarks = field(default_factory=RuleMarks)
    tally: Tally = field(default_factory=Tally)
    swept_ms: int = 0
    """Highest watermark at the last sweep."""

    def records(self, kind: str) -> KeyedRows:
        """Those of one of KINDS."""
        found: KeyedRows = getattr(self, kind)
        return found

    @property
    def n_open(self) -> int:
        """People of whom something will change by itself."""
        return sum(len(keys) for keys in self.holders.keys_where(lambda rows: (rows["next_ms"] != NEVER).to_numpy()))

    @property
    def n_bytes(self) -> int:
        """Memory of all that is remembered, about."""
        keyed: list[KeyedRows] = [getattr(self, name) for name in _KEYED]
        return sum(rows.n_bytes for rows in keyed) + self.ids.n_bytes + self.tally.n_bytes

    def pieces(self, partition: int) -> Iterator[Piece]:
        """All that is remembered of one partition."""
        for name in (*_KEYED, *_OTHERS):
            yield from below(name, getattr(self, name).pieces(partition))

    def restored(self, partition: int, frames: Mapping[str, pl.DataFrame]) -> Self:
        """This state with one more partition, from its pieces."""
        fresh = self.without(partition)
        return replace(fresh, **{name: getattr(fresh, name).restored(within(name, frames)) for name in (*_KEYED, *_OTHERS)})

    def without(self, partition: int) -> Self:
        """This state after one partition was forgotten."""
        kept = {name: getattr(self, name).kept(lambda rows: (rows["partition"] != partition).to_numpy()) for name in _KEYED}
        return replace(self, **kept, **{name: getattr(self, name).without(partition) for name in _OTHERS})
