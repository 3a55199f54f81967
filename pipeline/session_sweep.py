"""Forgetting: what no event that is still applied can touch.

Time:    event time; a part is needed until the dedup horizon is past the longest silence of its stream. When it is swept changes nothing
Cases:   an emitter's session id is forgotten -> that it was used is remembered for `id_memory`
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.fates import forgotten
from pipeline.session_memory import put_back, taken
from pipeline.session_parts import Remembered
from pipeline.session_rules import SessionRules
from pipeline.session_state import OF_VISITORS, RETIRED, SessionState
from pipeline.session_views import clustered, patience_ms
from pipeline.signal_engine import needed as needed_events
from pipeline.watermark import UNREAD, milliseconds, of_partitions

_WINDOW = ("marks", "window", "wide")
"""What belongs to visitors and not to sessions."""

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

    def looked_back_at(window: pl.DataFrame) -> NDArray[np.bool_]:
        return needed_events(window, watermarks, rules.signals, rules.dedup_horizon)

    def remembered(rows: pl.DataFrame) -> NDArray[np.bool_]:
        kept: NDArray[np.bool_] = of_partitions(watermarks, rows["partition"].to_numpy()) <= rows[
            "last_ms"
        ].to_numpy() + milliseconds(rules.id_memory)
        return kept

    # Only visitors of whom something lies far back are looked at.
    touched = np.unique(np.concatenate([np.zeros(0, np.uint64), *state.parts.keys_where(lambda parts: ~is_near(parts))]))
    before, left = taken(state, touched)
    parts = _outliving(clustered(before.parts, rules), is_near)
    theirs = {name: _of_these(getattr(before, name), parts) for name in OF_VISITORS if name not in ("parts", *_WINDOW)}
    kept = put_back(
        left, Remembered(parts, **theirs, **{name: getattr(before, name) for name in _WINDOW})
    )  # signals look back beyond sessions
    gone = (
        before.parts.filter(pl.col("session_id").is_not_null())
        .join(parts, on="stream", how="anti")
        .group_by("stream")
        .agg(pl.col("partition").first(), pl.col("last_ms").max())
    )
    forget = forgotten(watermarks, horizon_ms)
    oldest = dict(kept.parts.columns("partition", "first_ms").group_by("partition").min().iter_rows())
    interval_ms = milliseconds(rules.interval)
    since = {partition: min(ms, oldest.get(partition, ms)) // interval_ms * interval_ms for partition, ms in forget.items()}
    return replace(
        kept,
        **{name: getattr(kept, name).kept(looked_back_at) for name in _WINDOW},
        retired=kept.retired.kept(remembered).put(gone.select(RETIRED.names())),
        ids=kept.ids.swept(forget),
        rollups=kept.rollups.kept(since),
        swept_ms=highest,
    )


def _outliving(parts: pl.DataFrame, is_near: Callable[[pl.DataFrame], NDArray[np.bool_]]) -> pl.DataFrame:
    """Parts (with `cluster`) that are near, or in a cluster that goes on: who was there first says what the others are called."""
    return parts.with_columns(is_near=is_near(parts)).filter(pl.col("is_near").any().over("cluster")).drop("is_near", "cluster")


def _of_these(rows: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    return rows.join(parts, on=["visitor_key", "part"], how="semi")
