"""Whatever a worker said after its last checkpoint before it died: in the end the views show what they would have shown without it."""

from collections.abc import Sequence
from random import Random
from typing import Any

import polars as pl
from hypothesis import given, settings

from agents.settling import taken_back
from pipeline.facts import SAID
from pipeline.fold import Step
from pipeline.frames import FATES, REFUSED, WATERMARKS
from pipeline.sessions import SessionsFold
from tests import told_risk
from tests.builders import Event
from tests.strategies import PROFILE, RULES, Crowd, crowds, holds
from tests.told_risk import open_rows
from tests.views import FAR, batches, compared, told

FOLD = SessionsFold(RULES)


def settled(state: Any, dead: Sequence[Step[Any]]) -> Step[Any]:
    """What a successor says that goes on from this state, of what the dead one said after it."""
    said: dict[str, list[pl.DataFrame]] = {}
    for step in dead:
        for table, rows in step.tables.items():
            said.setdefault(table, []).append(rows)
    tables: dict[str, list[pl.DataFrame]] = {}
    for partition in (0, 1):
        theirs = {
            table: pl.concat(rows).filter(pl.col("partition") == partition).unique(SAID[table].key, keep="last")
            for table, rows in said.items()
        }
        now = FOLD.told_again(state, partition, theirs)
        for found in (now, taken_back(theirs, now)):
            for table, rows in found.items():
                tables.setdefault(table, []).append(rows.select(*dict.fromkeys((*SAID[table].schema, "partition"))))
    empty = (REFUSED.to_frame(), FATES.to_frame(), WATERMARKS.to_frame())
    return Step(state, {table: pl.concat(rows) for table, rows in tables.items()}, *empty)


def cut_otherwise(records: Sequence[Event]) -> list[Event]:
    """Read again in one go: nobody waited in between."""
    again = [{name: value for name, value in record.items() if name not in ("cut_before", "quiet_before")} for record in records]
    return [{**record, "cut_before": True} if not place else record for place, record in enumerate(again)]


@settings(max_examples=1 if PROFILE == "ci" else 200)  # every example is a whole crowd, folded some hundred times
@given(crowds())
def test_what_was_said_after_the_last_checkpoint_is_as_if_it_had_not_been(crowd: Crowd):
    dice = Random(crowd.seed)
    shares = (
        0.2 * dice.random(),
        1 - 0.2 * dice.random(),
    )  # much is said in vain: without settling half of all large crowds show it

    def broken(log: list[Event]) -> list[str]:
        log = [{**record, "cut_before": True} if not place % 6 else record for place, record in enumerate(log)]
        cut = batches(log)
        kept, died = (round(share * len(cut)) for share in shares)
        first, lost, rest = ([record for batch in part for record in batch] for part in (cut[:kept], cut[kept:died], cut[died:]))
        dead = told(FOLD, first + lost)[kept:]
        steps = told(FOLD, first + cut_otherwise(lost) + rest, until=FAR)
        state = steps[kept - 1].state if kept else FOLD.empty()
        both = [*steps[:kept], *dead, settled(state, dead), *steps[kept:]]
        at_risk = (open_rows(some, RULES.risk_bands) for some in (both[:-1], steps[:-1]))
        return compared(both, steps, with_fates=False) + told_risk.compared(*at_risk, ("band", "reasons", "step"))

    assert holds(crowd.log, broken)
