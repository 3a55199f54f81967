"""The fold by visitor: sessions opening, going on, merging and falling silent; the steps they reach, the friction they meet.

Frames:  event_schema("clickstream") + POSITION -> frames.SESSIONS, STEPS, SIGNALS, OUTCOMES, IDENTITIES, ROLLUPS, EVENTS
Time:    event time; a session has ended once watermark > last event + gap
Cases:   goes on -> sent at most once a minute | late, between two -> one session, the other is retracted | comes back after it ended -> open again, its
         outcome retracted | no id from the emitter -> the ms of its first event
Rejects: too late to be applied
Raises:  nothing on data; AssertionError if a frame breaks its schema
Source:  DESIGN: keyed by visitor, one partition; DECISIONS.md on customers within a session
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline import frames, visits_at_risk
from pipeline.count_examples import Counting, counts_again
from pipeline.event_rows import event_rows
from pipeline.facts import LAPSES, among, rows_alone, taken_back, with_facts
from pipeline.facts import Told as SaidRows
from pipeline.fold import Step
from pipeline.groups import NEVER
from pipeline.passed import Passed
from pipeline.session_changes import every_row, marked, said
from pipeline.session_events import in_pieces, judged, visitor_keys
from pipeline.session_memory import Fresh, put_back, taken, with_events
from pipeline.session_rules import SessionRules
from pipeline.session_signals import relevant_events
from pipeline.session_state import SessionState
from pipeline.session_sweep import swept
from pipeline.session_views import Told, clustered, told
from pipeline.watermark import milliseconds, of_partitions


@dataclass(frozen=True)
class SessionsFold:
    """`clickstream` in, sessions out."""

    rules: SessionRules = field(default_factory=SessionRules)
    name: ClassVar[str] = "sessions"
    family: ClassVar[str] = "clickstream"
    tables: ClassVar[tuple[str, ...]] = ("sessions", "steps", "signals", "outcomes", "identities", "rollups", "events", "at_risk")

    def empty(self) -> SessionState:
        """Remember nothing."""
        return SessionState.empty(self.rules.journeys, self.rules.signals)

    def step(self, state: SessionState, batch: pl.DataFrame, watermarks: pl.DataFrame) -> Step[SessionState]:
        """Fold one batch, which may be empty: time alone goes on then."""
        rules = self.rules
        found = judged(batch, watermarks, state.ids, rules)
        ended = _Ended(found.watermarks, milliseconds(rules.gap))
        events = in_pieces(found.applied, rules)
        events = events.hstack(rules.journeys.steps_of_events(events))

        # Whoever did something, and whoever has fallen silent since, or has been silent for so long that they are likelier to have left: looked at as they were, and
        # as they are now; and all who were counted by other rules.
        others = [*state.rollups.others(rules.cut)]
        silent = state.parts.keys_where(
            lambda parts: (~_as_sent(parts) & ended(parts)) | ended.has_risen(parts) | _is_in(parts, others)
        )
        touched = np.unique(np.concatenate([events["visitor_key"].to_numpy(), *silent]))
        if not len(touched):
            kept = swept(replace(state, ids=found.ids), found.watermarks, rules)
            return Step(kept, {}, found.rejects, found.fates, found.watermarks)
        before, left = taken(state, touched)
        fresh = Fresh(events, relevant_events(found.applied, events, rules))
        after = with_events(before, fresh, left, found.watermarks, rules)
        old = told(replace(before, parts=clustered(before.parts, rules)), rules, _as_sent)
        new = told(after, rules, ended)

        change = said(old, new, left.rollups, rules, self.name)
        at_risk, of_risk = visits_at_risk.changes(old, new, change.since, found.watermarks, rules)
        told_of = self._said(change.tables | of_risk, old)
        tables = told_of.tables
        if rules.store_events and found.applied.height:
            tables["events"] = frames.EVENTS.conform(event_rows(found.applied, rules.journeys))
        kept = put_back(left, replace(after, parts=marked(after.parts, new, change.since.sent, at_risk)))
        kept = replace(kept, ids=found.ids, rollups=change.rollups)
        return Step(
            swept(kept, found.watermarks, rules),
            tables,
            found.rejects,
            found.fates,
            found.watermarks,
            (*told_of.passed, *self._counting.changed(change.tables | tables, change.was, by_visit=True)),
        )

    def told_again(self, state: SessionState, partition: int, said: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """Of rows that were said of one partition, those that the state still says, as they are now. Frames: rows of facts.SAID -> the same."""
        return self._said(self._again(state, partition, said)).tables

    def passed_again(
        self, state: SessionState, partition: int, said: Mapping[str, pl.DataFrame], gone: Mapping[str, pl.DataFrame]
    ) -> tuple[Passed, ...]:
        """The same to other stages; `gone`: what is taken back."""
        again = self._said(self._again(state, partition, said))
        facts = taken_back(gone, partition, "visitor") if self.rules.tells_people else ()
        return (*again.passed, *facts, *counts_again(again.tables, gone, partition))

    @property
    def _counting(self) -> Counting:
        return Counting(self.name, self.rules.interval, self.rules.dimensions)

    def _said(self, rows: Mapping[str, pl.DataFrame], old: Told | None = None) -> SaidRows:
        if not self.rules.tells_people:
            return rows_alone(rows)
        return with_facts(rows, "visitor", None if old is None else lambda: _people(old))

    def _again(self, state: SessionState, partition: int, said: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        rules = self.rules
        whose = [rows.select("site", "visitor_id") for table, rows in said.items() if table in _OF_VISITORS]
        site, visitor_id = pl.concat([frames.SESSIONS.schema.to_frame().select("site", "visitor_id"), *whose]).unique()
        of_partition = np.full(len(site), partition, dtype=np.int32)
        before, _ = taken(state, np.unique(visitor_keys(of_partition, site, visitor_id)))
        as_sent = told(replace(before, parts=clustered(before.parts, rules)), rules, _as_sent)
        now = every_row(as_sent, rules) | {"rollups": state.rollups.rows_of(partition, rules.cut, self.name)}
        return among({name: rows.with_columns(pl.lit(0, pl.UInt8).alias("is_deleted")) for name, rows in now.items()}, said)


def _people(old: Told) -> pl.DataFrame:
    """Sessions that were told as no bot's, by their ids."""
    return old.sessions.filter(~pl.col("is_bot")).select(
        pl.col("site").cast(pl.String), "visitor_id", pl.col("told_id").alias("session_id")
    )


_OF_VISITORS = ("sessions", "steps", "signals", "outcomes", "identities", LAPSES.name)


def _as_sent(sessions: pl.DataFrame) -> NDArray[np.bool_]:
    """Whether they had ended when they were last sent."""
    return sessions["is_quiet"].to_numpy()


def _is_in(parts: pl.DataFrame, partitions: Sequence[int]) -> NDArray[np.bool_] | np.bool_:
    return np.isin(parts["partition"].to_numpy(), partitions) if partitions else np.False_


@dataclass(frozen=True)
class _Ended:
    """Says of sessions whether they have ended at these watermarks."""

    watermarks: pl.DataFrame
    gap_ms: int

    def __call__(self, sessions: pl.DataFrame) -> NDArray[np.bool_]:
        watermark_ms = of_partitions(self.watermarks, sessions["partition"].to_numpy())
        ended: NDArray[np.bool_] = watermark_ms > sessions["last_ms"].to_numpy() + self.gap_ms
        return ended

    def has_risen(self, parts: pl.DataFrame) -> NDArray[np.bool_]:
        """Whether they are in another band of risk, though nothing has come of them."""
        rises_ms = parts["rises_ms"]
        if rises_ms.null_count():  # kept by a version that told nobody
            rises_ms = rises_ms.fill_null(NEVER)
        risen: NDArray[np.bool_] = of_partitions(self.watermarks, parts["partition"].to_numpy()) > rises_ms.to_numpy()
        return risen
