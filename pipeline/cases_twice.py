"""Cases as they were and as they are, told in one go: telling has a price of its own, however few are told.

Frames:  CaseLog and SEEN, twice -> Told, twice
Cases:   nothing was known before -> told once
"""

import numpy as np
import polars as pl

from pipeline.case_log import CaseLog
from pipeline.case_views import Told, told
from pipeline.cases_at_risk import CasesAtRisk
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.groups import Places
from pipeline.hashing import Hashes
from pipeline.people_at_home import of_before

TOGETHER = 50_000
"""Of more cases the price of telling is nothing beside what is told, and memory is not for all of it twice: at other rules they are all that there are."""

_PARTITION = pl.col("partition")


def told_twice(
    before: CaseLog, seen_before: pl.DataFrame, log: CaseLog, seen: pl.DataFrame, rules: FulfilmentRules
) -> tuple[Told | None, Told]:
    """Say everything of both. Frames: SEEN of the partitions, twice."""
    if not before.n:
        return None, told(log, seen, rules)
    if before.n > TOGETHER:
        return told(before, seen_before, rules), told(log, seen, rules)
    both = CaseLog(
        pl.concat([_apart(before.known, 0, "case_key").with_columns(of_before(_PARTITION)), _apart(log.known, 1, "case_key")]),
        pl.concat([_apart(each.events, side, *_KEYS) for side, each in enumerate((before, log))]),
        np.concatenate([before.now_ms, log.now_ms]),
    )
    found = told(both, pl.concat([seen_before.with_columns(of_before(_PARTITION)), seen]), rules)
    keys = both.known["case_key"].to_numpy()
    return _of(found, keys, before, 0, 0), _of(found, keys, log, before.n, before.events.height)


_KEYS = ("case_key", "owner", "parcel_key")


def _apart(rows: pl.DataFrame, side: int, *keys: str) -> pl.DataFrame:
    """With keys that stand in the same order, and after all of the other side or before: the highest bit says which; the lowest one is given for it."""
    return rows.with_columns(pl.col(keys) // 2 + pl.lit(side << 63, pl.UInt64))


def _of(found: Told, keys: Hashes, log: CaseLog, first_case: int, first_event: int) -> Told:
    """What of it is about this log, whose first case and event stand there."""

    def mine(case: Places) -> Places:
        return np.flatnonzero((case >= first_case) & (case < first_case + log.n))

    def placed(rows: pl.DataFrame) -> pl.DataFrame:
        return rows if first_case else rows.with_columns(of_before(_PARTITION))

    def waits_of(waits: pl.DataFrame) -> tuple[Places, pl.DataFrame]:
        case = np.searchsorted(keys, waits["case_key"].to_numpy())
        rows = mine(case)
        return rows, waits[rows].with_columns(log.known["case_key"].gather(case[rows] - first_case))

    cases = slice(first_case, first_case + log.n)
    is_mine = _PARTITION >= 0 if first_case else _PARTITION < 0
    begun = found.begun[mine(found.begun["case"].to_numpy())]
    risk = found.at_risk
    told_of, waits = waits_of(risk.waits)
    return Told(
        {name: placed(rows.filter(is_mine)) for name, rows in found.tables.items()},
        placed(found.who[cases]),
        begun.with_columns(pl.col("case") - first_case, pl.col("first", "last") - first_event),
        found.of_signals[mine(found.of_signals)] - first_case,
        found.next_ms[cases],
        found.is_open[cases],
        CasesAtRisk(
            risk.band[cases],
            risk.next_ms[cases],
            placed(risk.rows[told_of]),
            waits,
            waits_of(risk.going)[1],
            waits_of(risk.lapsed)[1],
        ),
    )
