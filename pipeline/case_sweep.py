"""Forgetting cases: those of which nothing has been heard for long, and about which nothing is left to say.

Time:    event time; a case is needed until `retention` after its last event and its last verdict, and as long as an event can still be late
"""

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.awaited_types import needed_since
from pipeline.fates import forgotten
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.fulfilment_state import FulfilmentState
from pipeline.groups import NEVER
from pipeline.watermark import UNREAD, milliseconds, of_partitions

SWEEP_MS = 3_600_000
"""Event time between two sweeps: one costs a look at everything."""


def swept(state: FulfilmentState, watermarks: pl.DataFrame, rules: FulfilmentRules) -> FulfilmentState:
    """The state after a sweep, if one is due."""
    highest = int(of_partitions(watermarks, watermarks["partition"].to_numpy()).max(initial=UNREAD))
    if highest < state.swept_ms + SWEEP_MS:
        return state
    horizon_ms = milliseconds(rules.dedup_horizon)
    kept_ms = milliseconds(rules.retention) + horizon_ms

    def is_over(cases: pl.DataFrame) -> NDArray[np.bool_]:
        reached = of_partitions(watermarks, cases["partition"].to_numpy())
        over: NDArray[np.bool_] = (cases["next_ms"].to_numpy() == NEVER) & (reached > cases["last_ms"].to_numpy() + kept_ms)
        return over

    gone = np.unique(np.concatenate([np.zeros(0, np.uint64), *state.cases.keys_where(is_over)]))
    events, links, cases = state.events, state.links, state.cases
    if len(gone):
        (_, events), (_, cases) = state.events.take(gone), state.cases.take(gone)
        links = state.links.kept(lambda rows: ~np.isin(rows["owner"].to_numpy(), gone))
    known = cases.columns("partition", "first_ms")
    since = needed_since(known["first_ms"].to_numpy(), known["partition"].to_numpy(), rules.seen_within.days)
    days = {**{partition: ms // 86_400_000 - rules.seen_within.days for partition, ms in forgotten(watermarks, horizon_ms).items()}}
    days = {partition: min(day, since.get(partition, day)) for partition, day in days.items()}

    def is_asked(rows: pl.DataFrame) -> NDArray[np.bool_]:
        least = rows["partition"].replace_strict(days, default=-(10**9), return_dtype=pl.Int64).to_numpy()
        asked: NDArray[np.bool_] = rows["day"].to_numpy() >= least
        return asked

    return replace(
        state,
        events=events,
        cases=cases,
        links=links,
        seen=state.seen.kept(is_asked),
        ids=state.ids.swept(forgotten(watermarks, horizon_ms)),
        tally=state.tally.swept(gone, watermarks, rules.counted_for),
        swept_ms=highest,
    )
