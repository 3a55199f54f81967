"""The fold of spikes: counts in, alerts out.

Frames:  passed.heard(COUNT, EXAMPLE) + POSITION -> frames.ALERTS
Time:    event time; an interval is judged once, when its counts are final, each family in its own order. `watermarks` may say OF_VISITS: what
         the fold of visits alone counts is judged by that
Cases:   a count comes late -> counts if its interval is not judged yet | comes again, or older than known -> changes nothing
         too little history -> nothing is claimed | more series than are remembered -> an alert says how many are not judged
Rejects: none: no row is a record
Raises:  nothing on data; AssertionError if a frame breaks its schema
Source:  DECISIONS.md: Spikes are shares against their own baseline
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import polars as pl

from pipeline.fold import Step
from pipeline.frames import ALERTS, WATERMARKS
from pipeline.passed import COUNT, COUNTS, EXAMPLE, FATES_OF_ORIGIN, REFUSED_OF_ORIGIN, Passed
from pipeline.spike_alerts import Alert, rows
from pipeline.spike_counts import counted, families, taken_in
from pipeline.spike_evidence import with_examples
from pipeline.spike_judging import Judging, by_kind
from pipeline.spike_rules import SpikeRules
from pipeline.spike_state import Part, Series, SpikesState
from pipeline.watermark import UNREAD, in_ms

OF_VISITS = "of_visits"
"""Column of `watermarks` that says how far the fold of visits alone has come."""


@dataclass(frozen=True)
class SpikesFold:
    """Counts per interval and segment in, alerts out."""

    rules: SpikeRules = field(default_factory=SpikeRules)
    name: ClassVar[str] = "spikes"
    family: ClassVar[str] = COUNTS
    tables: ClassVar[tuple[str, ...]] = (ALERTS.name,)

    def empty(self) -> SpikesState:
        """Remember nothing."""
        return SpikesState()

    def step(self, state: SpikesState, batch: pl.DataFrame, watermarks: pl.DataFrame) -> Step[SpikesState]:
        """Take in a batch, which may be empty, and judge what is ripe."""
        parts, said = dict(state.parts), [ALERTS.conform(pl.DataFrame(schema={"partition": pl.Int32}))]
        held = dict(zip(watermarks["partition"].to_list(), _times(watermarks), strict=True))
        for partition in sorted({*held, *batch["partition"].to_list()}):
            part = _with_rows(parts.get(partition, Part()), batch.filter(pl.col("partition") == partition))
            slowest, of_visits = held.get(partition, (UNREAD, UNREAD))
            parts[partition], alerts = self._judged(part, slowest, of_visits)
            said.append(rows(alerts, partition))
        tables = pl.concat(said)
        return Step(
            SpikesState(parts),
            {ALERTS.name: tables} if tables.height else {},
            REFUSED_OF_ORIGIN.to_frame(),
            FATES_OF_ORIGIN.to_frame(),
            watermarks.select(WATERMARKS.names()),
        )

    def told_again(self, state: SpikesState, partition: int, said: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """Of alerts that were said, those that are known, as they are now. Frames: ALERTS -> the same."""
        if ALERTS.name not in said or partition not in state.parts:
            return {}
        ids = set(said[ALERTS.name]["alert_id"].to_list())
        return {ALERTS.name: rows([alert for alert in state.parts[partition].alerts if alert.alert_id in ids], partition)}

    def passed_again(
        self, state: SpikesState, partition: int, said: Mapping[str, pl.DataFrame], gone: Mapping[str, pl.DataFrame]
    ) -> tuple[Passed, ...]:
        """Nothing: nobody stands behind it."""
        del state, partition, said, gone
        return ()

    def _judged(self, part: Part, slowest_ms: int, of_visits_ms: int) -> tuple[Part, list[Alert]]:
        """All that is ripe by these times."""
        judging, now_ms = Judging(part, self.rules), (of_visits_ms, slowest_ms)
        due = {
            family: series.ripeness.judged_ms
            for family, series in part.series.items()
            if series.due_ms is None or now_ms[not series.ripeness.is_of_visits] >= series.due_ms
        }
        counts = part.counts.frame() if due else pl.DataFrame()
        for kind, its in by_kind(due):
            judging.judge(kind, list(its), counts, now_ms)
        judging.lapse(slowest_ms)
        return judging.part(), judging.said()


def _times(watermarks: pl.DataFrame) -> list[tuple[int, int]]:
    of_visits = watermarks[OF_VISITS if OF_VISITS in watermarks.columns else "watermark"]
    return list(zip(in_ms(watermarks["watermark"]).tolist(), in_ms(of_visits).tolist(), strict=True))


def _with_rows(part: Part, batch: pl.DataFrame) -> Part:
    """After these rows have come."""
    fresh = counted(batch.filter(pl.col("family") == COUNT))
    if fresh.height:
        touched = families(fresh)
        touched |= {family for family in part.series if family.site in set(fresh["site"].to_list())}
        series = {**part.series, **{family: replace(part.series.get(family, Series()), due_ms=None) for family in touched}}
        part = replace(part, counts=taken_in(part.counts, fresh), series=series)
    examples = batch.filter(pl.col("family") == EXAMPLE)
    if examples.height:
        part = replace(part, examples=with_examples(part.examples, examples), serial=part.serial + 1)
    return part
