"""What a replay would read, without folding or writing anything: first rows, counts, what would be rejected."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from agents.mapping import Plan, stream
from agents.mapping_engine import MappingEngine, Seen
from agents.replay import STEP_ROWS
from agents.replayed_events import Judge, unparsed
from pipeline.checks import Bounds
from pipeline.events import POSITION


@dataclass
class Look:
    """What a replay would read."""

    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(family, event type) -> good events."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why rows would be rejected."""
    first: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Family -> its first events, in order of event time."""
    wrong: list[pl.DataFrame] = field(default_factory=list)
    """First of the rows that would be rejected. Frames: DEAD_LETTERS."""
    from_at: datetime | None = None
    to_at: datetime | None = None

    def summary(self) -> Mapping[str, object]:
        """It as JSON."""
        families = sorted({family for family, _ in self.events})
        return {
            "events": {family: {kind: n for (of, kind), n in sorted(self.events.items()) if of == family} for family in families},
            "rejects": dict(self.reasons),
            "from": self.from_at,
            "to": self.to_at,
            "first": {family: [_said(row) for row in frame.drop(*POSITION).to_dicts()] for family, frame in self.first.items()},
            "wrong": [_said(row) for frame in self.wrong for row in frame.to_dicts()],
        }


def looked_at(plans: Sequence[Plan], engine: MappingEngine, bounds: Bounds, *, first: int, seen: Seen | None = None) -> Look:
    """What the mappings or files say, without folding or writing anything. Raises: QueryFailed."""
    judge, look = Judge(bounds), Look()
    bad = engine.scratch / "unparsed"
    bad.mkdir()
    for raw in engine.batches(stream(list(plans), bad), rows=STEP_ROWS, seen=seen):
        batch = judge.batch(raw)
        for family, events in batch.events.items():
            for event_type, n in events["event_type"].value_counts().rows():
                look.events[family, event_type] += n
            begun = look.first.get(family, events.clear())
            look.first[family] = pl.concat([begun, events.head(max(0, first - begun.height))])
            times = [look.from_at, look.to_at, events["event_at"].min(), events["event_at"].max()]
            known = [at for at in times if isinstance(at, datetime)]
            look.from_at, look.to_at = min(known), max(known)
        look.reasons.update(batch.rejects["reason"].to_list())
        look.wrong.append(batch.rejects.head(max(0, first - sum(each.height for each in look.wrong))))
    lost = unparsed(bad, list(plans))
    look.reasons.update(lost["reason"].to_list())
    look.wrong.append(lost.head(first))
    return look


def _said(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says, without what is absent."""
    return {name: value for name, value in row.items() if value not in (None, "")}
