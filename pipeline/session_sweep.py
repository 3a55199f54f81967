"""Forgetting: what no event that is still applied can touch.

Time:    event time; a part is needed until the dedup horizon is past the longest silence of its stream. When it is swept changes nothing
Cases:   an emitter's session id is forgotten -> that it was used is remembered for `id_memory`
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.session_events import forgotten
from pipeline.session_rules import SessionRules
from pipeline.session_state import RETIRED, SessionState
from pipeline.session_views import clustered, patience_ms
from pipeline.signal_engine import needed as needed_events
from pipeline.watermark import UNREAD, milliseconds, of_partitions

SWEEP_MS = 600_000
"""Event time between two sweeps: one costs a look at everything."""


def swept(state: SessionState, watermarks: pl.DataFrame, rules: SessionRules) -> SessionState:
    """The state after a sweep, if one is due."""
    highest = int(of_partitions(watermarks, watermarks["partition"].to_numpy()).max(initial=UNREAD))
    if highest < state.swept_ms + SWEEP_MS:
        return state
    horizon_ms = milliseconds(rules.dedup_horizon)

    def is_near(parts: pl.DataFrame) -> NDArray[np.bool_]:
        last_needed_ms = parts["last_ms"].to_numpy() + patience_ms(parts, rules) + horizon_ms
        near: NDArray[np.bool_] = of_partitions(watermarks, parts["partition"].to_numpy()) <= last_needed_ms
        return near

    outlived = _outlived(state.parts.frame(), is_near, rules)

    def needed(parts: pl.DataFrame) -> NDArray[np.bool_]:
        kept: NDArray[np.bool_] = is_near(parts) | parts["part"].is_in(outlived.implode()).to_numpy()
        return kept

    parts = state.parts.kept(needed)
    living = parts.frame().select("visitor_key", "part", "partition", "first_ms", "stream")
    gone = (
        state.parts.frame()
        .filter(pl.col("session_id").is_not_null())
        .join(living, on="stream", how="anti")
        .group_by("stream")
        .agg(pl.col("partition").first(), pl.col("last_ms").max())
    )

    def looked_back_at(window: pl.DataFrame) -> NDArray[np.bool_]:
        return needed_events(window, watermarks, rules.signals, rules.dedup_horizon)

    def belongs(rows: pl.DataFrame) -> NDArray[np.bool_]:
        marked = rows.join(
            living.select("visitor_key", "part", is_living=True), on=["visitor_key", "part"], how="left", maintain_order="left"
        )
        return marked["is_living"].fill_null(value=False).to_numpy()

    def remembered(rows: pl.DataFrame) -> NDArray[np.bool_]:
        kept: NDArray[np.bool_] = of_partitions(watermarks, rows["partition"].to_numpy()) <= rows[
            "last_ms"
        ].to_numpy() + milliseconds(rules.id_memory)
        return kept

    forget = forgotten(watermarks, horizon_ms)
    oldest = dict(living.group_by("partition").agg(pl.col("first_ms").min()).iter_rows())
    interval_ms = milliseconds(rules.interval)
    since = {partition: min(ms, oldest.get(partition, ms)) // interval_ms * interval_ms for partition, ms in forget.items()}
    retired = state.retired.kept(remembered).put(gone.select(RETIRED.names()))
    return replace(
        state,
        parts=parts,
        reached=state.reached.kept(belongs),
        commits=state.commits.kept(belongs),
        lasts=state.lasts.kept(belongs),
        fired=state.fired.kept(belongs),
        window=state.window.kept(looked_back_at),
        retired=retired,
        ids=state.ids.swept(forget),
        rollups=state.rollups.kept(since),
        swept_ms=highest,
    )


def _outlived(parts: pl.DataFrame, is_near: Callable[[pl.DataFrame], NDArray[np.bool_]], rules: SessionRules) -> pl.Series:
    """Parts that lie too far back themselves, in a cluster that goes on: who was there first says what the others are called."""
    parts = parts.select("stream", "session_id", "part", "partition", "first_ms", "last_ms").with_columns(is_near=is_near(parts))
    mixed = parts.filter((pl.col("is_near").any() & ~pl.col("is_near").all()).over("stream"))
    goes_on = pl.col("is_near").any().over("cluster")
    return clustered(mixed, rules).filter(goes_on & ~pl.col("is_near"))["part"]
