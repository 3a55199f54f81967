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
from agents.replayed_events import Judge, text, unparsed
from pipeline.checks import Bounds
from pipeline.events import POSITION
from pipeline.frames import DEAD_LETTERS


@dataclass
class Look:
    """What a replay would read."""

    rows: Counter[str] = field(default_factory=Counter)
    """Mapping or file -> rows that could be parsed; also of one that gives none."""
    empty: dict[str, list[str]] = field(default_factory=dict)
    """Mapping or file -> fields that a mapping names, and that are null in all its rows."""
    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(family, event type) -> good events."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why rows would be rejected."""
    first: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Family -> its first events, in order of event time."""
    places: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(mapping or file, reason) -> rows that would be rejected."""
    wrong: pl.DataFrame = field(default_factory=DEAD_LETTERS.schema.to_frame)
    """First of them, of each place and reason. Frames: DEAD_LETTERS."""
    from_at: datetime | None = None
    to_at: datetime | None = None

    def summary(self) -> Mapping[str, object]:
        """It as JSON."""
        families = sorted({family for family, _ in self.events})
        return {
            "rows": dict(self.rows),
            "empty": {name: fields for name, fields in self.empty.items() if fields and self.rows[name]},
            "events": {family: {kind: n for (of, kind), n in sorted(self.events.items()) if of == family} for family in families},
            "rejects": dict(self.reasons),
            "from": self.from_at,
            "to": self.to_at,
            "first": {family: [_said(row) for row in frame.drop(*POSITION).to_dicts()] for family, frame in self.first.items()},
            "wrong": [_said(row) for row in self.wrong.to_dicts()],
        }

    def take(self, raw: pl.DataFrame) -> None:
        """Count rows as they came."""
        for (name,), rows in raw.with_columns(text(raw["mapping"])).group_by("mapping"):
            self.rows[str(name)] += rows.height
            self.empty[str(name)] = [
                each for each in self.empty[str(name)] if each in rows and rows[each].null_count() == rows.height
            ]

    def reject(self, letters: pl.DataFrame, *, first: int) -> None:
        """Count these, and keep the first ones."""
        self.reasons.update(letters["reason"].to_list())
        self.places.update(letters.select("topic", "reason").rows())
        known = pl.concat([self.wrong, letters])
        self.wrong = known.group_by("topic", "reason", maintain_order=True).head(first).select(known.columns)


def looked_at(plans: Sequence[Plan], engine: MappingEngine, bounds: Bounds, *, first: int, seen: Seen | None = None) -> Look:
    """What the mappings or files say, without folding or writing anything. Raises: QueryFailed."""
    judge, look = Judge(bounds), Look(rows=Counter({plan.name: 0 for plan in plans}))
    look.empty = {plan.name: [column.name for column in plan.columns if plan.is_chosen] for plan in plans}
    bad = engine.scratch / "unparsed"
    bad.mkdir()
    for raw in engine.batches(stream(list(plans), bad), rows=STEP_ROWS, seen=seen):
        batch = judge.batch(raw)
        look.take(raw)
        for family, events in batch.events.items():
            for event_type, n in events["event_type"].value_counts().rows():
                look.events[family, event_type] += n
            begun = look.first.get(family, events.clear())
            look.first[family] = pl.concat([begun, events.head(max(0, first - begun.height))])
            times = [look.from_at, look.to_at, events["event_at"].min(), events["event_at"].max()]
            known = [at for at in times if isinstance(at, datetime)]
            look.from_at, look.to_at = min(known), max(known)
        look.reject(batch.rejects, first=first)
    look.reject(unparsed(bad, list(plans)), first=first)
    return look


def _said(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says, without what is absent."""
    return {name: value for name, value in row.items() if value not in (None, "")}
