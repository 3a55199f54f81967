"""How an event on a page is written down before its time is known, and how many of a kind are strung together.

Frames:  HAPPENINGS: a row is an event; the columns of the contract that it has stand beside
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from pipeline.simulator.contract import CONTRACT
from pipeline.simulator.friction import Moment

HAPPENINGS = pl.Schema({"page": pl.Int64, "moment": pl.Int64, "nth": pl.Int64, "after_ms": pl.Int64, "event_type": pl.String})
"""`page`: row of TRODDEN. `moment`, `nth`: order within the page. `after_ms`: time since the event before it in the visit."""

Cells = np.ndarray | pl.Series | Sequence[object] | str | int | None


def happenings(
    page: np.ndarray, moment: Moment, event_type: str | pl.Series, after_ms: np.ndarray, *, nth: np.ndarray | int = 0, **columns: Cells
) -> pl.DataFrame:
    """Events at one moment of these pages; further columns by their names in the contract, one value for all or one a row."""
    return pl.DataFrame(
        {"page": page, "moment": int(moment), "nth": nth, "after_ms": after_ms, "event_type": event_type, **columns},
        schema_overrides=dict(HAPPENINGS) | {name: CONTRACT[name] for name in columns if name in CONTRACT},
    )


def strings(table: Sequence[str | None], index: np.ndarray) -> pl.Series:
    """A word of a small table for every index."""
    return pl.Series(table, dtype=pl.String).gather(index)


def repeated(rows: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every row as often as it says, and the number of each within its run, from 0."""
    begins = np.cumsum(times) - times
    return np.repeat(rows, times), np.arange(times.sum()) - np.repeat(begins, times)


def thought_ms(rng: np.random.Generator, pace_ms: np.ndarray) -> np.ndarray:
    """How long somebody of that pace takes for one thing: at least 1.5 s, so that two things done never look like one."""
    return 1_500 + (pace_ms * rng.lognormal(0.0, 0.6, len(pace_ms))).astype(np.int64)
