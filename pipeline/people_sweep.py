"""Forgetting people: those for whom nothing has come for long, and about whom nothing is left to say.

Time:    event time; a customer is remembered for `customer_memory` after the last record, any other key for `identity_lookback`
         what a customer has been through is counted in `customers`, so all of it stays as long as the customer does; elsewhere a lapse stays for `return_horizon`
         whose a key is outlives what lay there: a link is small, and stays for `customer_memory`, or as long as its key is there
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.fates import forgotten
from pipeline.groups import NEVER
from pipeline.journeys_rules import JourneysRules
from pipeline.person_state import KINDS, PersonState
from pipeline.watermark import UNREAD, milliseconds, of_partitions

SWEEP_MS = 3_600_000
"""Event time between two sweeps: one costs a look at everything."""
DAY_MS = 86_400_000

_LAST = {
    "ticket": ("event_at",),
    "visit": ("ended_at",),
    "case": ("opened_at", "placed_at", "cancelled_at", "delivered_at"),
    "lapse": ("lapsed_at", "recovered_at", "returned_at"),
    "signal": ("fired_at",),
}


def needed(holders: pl.DataFrame, records: Mapping[str, pl.DataFrame], links: pl.DataFrame, rules: JourneysRules) -> pl.Series:
    """Until when each holder is needed; whose a key is may be known long before what lies there. Frames: HOLDERS, RECORDS of each kind, HELD_LINKS -> `needed_ms`."""
    is_customer = holders["key"].str.starts_with("customer:").to_numpy()
    keep_ms = np.where(is_customer, milliseconds(rules.customer_memory), milliseconds(rules.identity_lookback))
    keys = holders["holder"].to_numpy()
    until = holders["needed_ms"].to_numpy().copy()
    for kind, names in _LAST.items():
        rows = records[kind]
        if rows.is_empty():
            continue
        last_ms = rows.select(pl.max_horizontal(*names).to_physical()).to_series().to_numpy()
        place = np.searchsorted(keys, rows["holder"].to_numpy())
        span = np.maximum(keep_ms, milliseconds(rules.return_horizon)) if kind == "lapse" else keep_ms
        np.maximum.at(until, place, last_ms + span[place])
    np.maximum.at(
        until,
        np.searchsorted(keys, links["holder"].to_numpy()),
        links["event_ms"].to_numpy() + milliseconds(rules.identity_lookback),
    )
    return pl.Series("needed_ms", until, pl.Int64)


def swept(state: PersonState, watermarks: pl.DataFrame, rules: JourneysRules) -> PersonState:
    """The state after a sweep, if one is due."""
    highest = int(of_partitions(watermarks, watermarks["partition"].to_numpy()).max(initial=UNREAD))
    if highest < state.swept_ms + SWEEP_MS:
        return state
    horizon_ms = milliseconds(rules.dedup_horizon)

    def is_over(holders: pl.DataFrame) -> NDArray[np.bool_]:
        reached = of_partitions(watermarks, holders["partition"].to_numpy())
        over: NDArray[np.bool_] = (holders["next_ms"].to_numpy() == NEVER) & (
            reached > holders["needed_ms"].to_numpy() + horizon_ms
        )
        return over

    gone = np.unique(np.concatenate([np.zeros(0, np.uint64), *state.holders.keys_where(is_over)]))
    kept = {name: getattr(state, name).take(gone)[1] for name in (*KINDS, "holders")} if len(gone) else {}
    holders = kept.get("holders", state.holders)
    memory_ms = milliseconds(rules.customer_memory)

    def is_heeded(links: pl.DataFrame) -> NDArray[np.bool_]:
        reached = of_partitions(watermarks, links["partition"].to_numpy())
        heeded: NDArray[np.bool_] = reached <= links["event_ms"].to_numpy() + memory_ms
        old = np.flatnonzero(~heeded)
        heeded[old] = np.isin(links["holder"].to_numpy()[old], holders.columns("holder")["holder"].to_numpy()) if len(old) else True
        return heeded

    kept["links"] = state.links.kept(is_heeded)
    forget = forgotten(watermarks, horizon_ms)
    # A ticket is judged again for as long as it may still change, and looks back from its first reply that was due.
    days = {at: (ms - milliseconds(rules.return_horizon)) // DAY_MS - rules.seen_within.days for at, ms in forget.items()}

    def is_asked(rows: pl.DataFrame) -> NDArray[np.bool_]:
        least = rows["partition"].replace_strict(days, default=-(10**9), return_dtype=pl.Int64).to_numpy()
        asked: NDArray[np.bool_] = rows["day"].to_numpy() >= least
        return asked

    tally = state.tally.swept(gone, watermarks, rules.counted_for)
    return replace(state, **kept, seen=state.seen.kept(is_asked), ids=state.ids.swept(forget), tally=tally, swept_ms=highest)
