"""The fold by order: documents and their parcels, what was expected of whom, and what came of it.

Frames:  commerce.COMMERCE + POSITION, or passed.heard("order", "delivery") -> frames.CASES, DELIVERIES, STEPS, SIGNALS, OUTCOMES, EVENTS
Time:    event time, or the watermark that stands beside each row; a wait has lapsed once watermark > due
Cases:   an event that came late -> a lapse is retracted or corrected | a parcel whose order is learned later -> its events move there
         nothing comes -> what is due by the watermark is told all the same
Rejects: too late to be applied
Raises:  nothing on data; AssertionError if a frame breaks its schema
Source:  DESIGN 4; DECISIONS.md: a case is told anew from all its events
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline import cases_at_risk, frames, rollups
from pipeline.awaited_types import belated, noticed
from pipeline.case_counts import contributions
from pipeline.case_events import event_rows
from pipeline.case_log import KNOWN, CaseLog
from pipeline.case_sweep import swept
from pipeline.case_views import TOLD, Told, told
from pipeline.cases_twice import told_twice
from pipeline.changed_rows import changed_rows
from pipeline.commerce import COMMERCE_FAMILY, case_keys, fresh, judged, parcel_keys, records
from pipeline.count_examples import Counting, counts_again
from pipeline.facts import LAPSES, among, rows_alone, taken_back, with_facts
from pipeline.facts import Told as SaidRows
from pipeline.fold import Step
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.fulfilment_state import FulfilmentState
from pipeline.hashing import Hashes
from pipeline.parcel_links import Linked, linked, rehomed
from pipeline.passed import Passed
from pipeline.risk_tables import AT_RISK
from pipeline.watermark import UNREAD, before_batch, of_partitions


@dataclass(frozen=True)
class FulfilmentFold:
    """Orders and deliveries in, cases out."""

    rules: FulfilmentRules = field(default_factory=FulfilmentRules)
    name: ClassVar[str] = "fulfilment"
    family: ClassVar[str] = COMMERCE_FAMILY
    tables: ClassVar[tuple[str, ...]] = (*TOLD, "rollups", "events", AT_RISK.name)

    def empty(self) -> FulfilmentState:
        """Remember nothing."""
        return FulfilmentState()

    def step(self, state: FulfilmentState, batch: pl.DataFrame, watermarks: pl.DataFrame) -> Step[FulfilmentState]:
        """Fold one batch, which may be empty: time alone goes on then."""
        rules = self.rules
        batch = records(batch)
        found, after = judged(batch, watermarks, state.ids, rules.allowed_lateness, rules.dedup_horizon)
        applied = batch[found.chosen]
        events = fresh(applied)
        seen, new = noticed(state.seen, events)
        links = linked(events, state.links)
        late = belated(new, seen, before_batch(watermarks), after, rules.seen_within.days)
        held = after["partition"].to_list()
        anew = np.concatenate([late, state.rules.others(held, rules.fingerprint)])
        due = state.cases.keys_where(lambda cases: _is_due(cases, after) | np.isin(cases["partition"].to_numpy(), anew))
        touched = np.unique(np.concatenate([links.cases, *due]))
        said = rows_alone({})
        told_of_counts: tuple[Passed, ...] = ()
        kept = replace(state, seen=seen, links=links.links, ids=found.ids, rules=state.rules.told(held, rules.fingerprint))
        if len(touched):
            before, left = _taken(state, touched)
            log = _with_events(before, links, after)
            then, now = told_twice(before, state.seen.frame(), log, seen.frame(), rules)
            was = {} if then is None else then.tables
            changes = _changes(was, now.tables) | _of_risk(before, then, log, now, rules)
            tally, changed = state.tally.told(touched, contributions(log, now, rules), rules.counted_for)
            changes["rollups"] = rollups.rows(changed, rules.interval, self.name)
            said = self._said(changes)
            told_of_counts = self._counting.changed(changes | said.tables, was)
            kept = replace(_put_back(replace(kept, events=left.events, cases=left.cases), log, now), tally=tally)
        tables = said.tables
        if rules.store_events and applied.height:
            tables["events"] = frames.EVENTS.conform(event_rows(applied, rules.journeys.steps))
        return Step(
            swept(kept, after, rules),
            {name: rows for name, rows in tables.items() if rows.height},
            found.rejects,
            found.fates,
            after,
            (*said.passed, *told_of_counts),
        )

    def told_again(self, state: FulfilmentState, partition: int, said: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """Of rows that were said of one partition, those that the state still says, as they are now. Frames: rows of facts.SAID -> the same."""
        return self._said(self._again(state, partition, said)).tables

    def passed_again(
        self, state: FulfilmentState, partition: int, said: Mapping[str, pl.DataFrame], gone: Mapping[str, pl.DataFrame]
    ) -> tuple[Passed, ...]:
        """The same to other stages; `gone`: what is taken back."""
        again = self._said(self._again(state, partition, said))
        facts = taken_back(gone, partition, "order") if self.rules.tells_people else ()
        return (*again.passed, *facts, *counts_again(again.tables, gone, partition))

    @property
    def _counting(self) -> Counting:
        return Counting(self.name, self.rules.interval, self.rules.dimensions)

    def _said(self, rows: Mapping[str, pl.DataFrame]) -> SaidRows:
        return with_facts(rows, "order") if self.rules.tells_people else rows_alone(rows)

    def _again(self, state: FulfilmentState, partition: int, said: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        before, _ = _taken(state, _keys_of(partition, said, state))
        now = told(before, state.seen.frame(), self.rules)
        counts = state.tally.rollups.rows_of(partition, self.rules.counted_for.cut, self.name)
        rows = {**now.tables, AT_RISK.name: now.at_risk.rows, "rollups": counts}
        return among(
            {name: of_table.with_columns(pl.lit(0, pl.UInt8).alias("is_deleted")) for name, of_table in rows.items()}, said
        )


def _is_due(cases: pl.DataFrame, watermarks: pl.DataFrame) -> NDArray[np.bool_]:
    passed: NDArray[np.bool_] = of_partitions(watermarks, cases["partition"].to_numpy()) > cases["next_ms"].to_numpy()
    return passed


def _taken(state: FulfilmentState, keys: Hashes) -> tuple[CaseLog, FulfilmentState]:
    """What is remembered of these cases (ascending, each once), as it was told last; and the state without it."""
    events, left_events = state.events.take(keys)
    known, left_known = state.cases.take(keys)
    return CaseLog.of(known, events, known["told_ms"].to_numpy()), replace(state, events=left_events, cases=left_known)


def _with_events(before: CaseLog, links: Linked, watermarks: pl.DataFrame) -> CaseLog:
    """These cases after what a batch says of them."""
    kept = rehomed(before.events, links.moved)
    events = pl.concat([kept, links.fresh.select(kept.columns)])
    partition = pl.col("partition")
    said = links.fresh.select("case_key", partition, "site", pl.when("knows_order").then("order_id").alias("order_id"))
    # What is known of a parcel alone is its site; a case that it moves to has an event of its own that says the order.
    whose = (
        pl.concat([before.known.select(said.columns), said])
        .sort("order_id", nulls_last=True)
        .unique("case_key", keep="first", maintain_order=True)
    )
    spans = events.group_by("case_key").agg(pl.col("event_ms").min().alias("first_ms"), pl.col("event_ms").max().alias("last_ms"))
    known = spans.join(whose, on="case_key", how="left")
    now_ms = of_partitions(watermarks, known["partition"].to_numpy())
    known = known.with_columns(
        pl.Series("told_ms", now_ms, pl.Int64),
        pl.lit(UNREAD).alias("next_ms"),
        pl.lit(value=False).alias("is_open"),
        pl.lit(None, pl.UInt8).alias("at_risk"),
    )
    return CaseLog.of(known.select(KNOWN.names()), events, now_ms)


def _changes(was: Mapping[str, pl.DataFrame], now: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """What to say. `was` is empty where nothing was known."""
    found = {}
    for name, rows in now.items():
        old = was.get(name, rows.clear())
        if rows.height or old.height:
            table = frames.TABLES[name]
            found[name] = changed_rows(old, rows, table.key)
    return found


def _of_risk(before: CaseLog, then: Told | None, log: CaseLog, now: Told, rules: FulfilmentRules) -> dict[str, pl.DataFrame]:
    told = cases_at_risk.changes(before, None if then is None else then.at_risk, log, now.at_risk, rules)
    return {AT_RISK.name: told} if told.height else {}


def _put_back(state: FulfilmentState, log: CaseLog, now: Told) -> FulfilmentState:
    known = log.known.with_columns(
        pl.Series("next_ms", now.next_ms, pl.Int64), now.is_open.alias("is_open"), pl.Series("at_risk", now.at_risk.band)
    )
    return replace(state, events=state.events.put(log.events), cases=state.cases.put(known))


def _keys_of(partition: int, said: Mapping[str, pl.DataFrame], state: FulfilmentState) -> Hashes:
    """Keys of the cases that these rows are of, as far as they can be told from the rows."""
    orders = [
        said[table].select("site", pl.col(name).alias("order_id"))
        for table, name in (("cases", "order_id"), ("steps", "instance_id"), ("signals", "order_id"), ("outcomes", "order_id"), (LAPSES.name, "order_id"), ("deliveries", "order_id"), (AT_RISK.name, "order_id"))
        if table in said
    ]  # fmt: skip
    parcels = [said[table].select("site", "delivery_id") for table in ("deliveries", "outcomes", LAPSES.name) if table in said]
    keys: list[Hashes] = [np.zeros(0, dtype=np.uint64)]
    if orders:
        rows = pl.concat(orders).filter(pl.col("order_id") != "").unique()
        keys.append(case_keys(np.full(rows.height, partition, dtype=np.int32), rows["site"], rows["order_id"]))
    if parcels:
        rows = pl.concat(parcels).filter(pl.col("delivery_id") != "").unique()
        own = parcel_keys(np.full(rows.height, partition, dtype=np.int32), rows["site"], rows["delivery_id"])
        owners, _ = state.links.take(np.unique(own))
        keys += [own, owners["owner"].to_numpy()]
    found: Hashes = np.unique(np.concatenate(keys))
    return found
