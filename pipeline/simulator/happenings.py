"""How an event on a page is written down before its time is known, and how many of a kind are strung together.

Frames:  HAPPENINGS: a row is an event; the columns of the contract that it has stand beside
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from pipeline.simulator.columns import schema
from pipeline.simulator.contract import CONTRACT
from pipeline.simulator.draws import Bools, Floats, Ints
from pipeline.simulator.friction import Moment

HAPPENINGS = schema({"page": pl.Int64, "moment": pl.Int64, "nth": pl.Int64, "after_ms": pl.Int64, "event_type": pl.String})
"""`page`: row of TRODDEN. `moment`, `nth`: order within the page. `after_ms`: time since the event before it in the visit."""

NOTES = schema(
    {
        "planted": pl.String, "echo": pl.String, "again": pl.Int64, "vague": pl.Boolean, "measure": pl.Float64,
        "at_path": pl.String, "at_type": pl.String, "more_minor": pl.Int64, "more_share": pl.Float64, "more_least": pl.Int64, "foreground": pl.Float64,
    }
)  # fmt: skip
"""What a happening may say beside the contract. `planted`: the kind of friction that it is part of; `echo`: another kind that it may as well be taken
for; `again`: how often it was met on this page before; `vague`: so may be none; `measure`: what makes it vague. `at_path`, `at_type`: another page than that of `page`. `more_minor`, `more_share`:
what the total grows by, and at least `more_least`. `foreground`: share of the time on the page."""

Cells = Ints | Floats | Bools | pl.Series | Sequence[object] | str | int | None


def happenings(
    page: Ints, moment: Moment, event_type: str | pl.Series, after_ms: Ints, *, nth: Ints | int = 0, **columns: Cells
) -> pl.DataFrame:
    """Events at one moment of these pages; further columns by their names in the contract, one value for all or one a row."""
    cells = {"page": page, "moment": int(moment), "nth": nth, "after_ms": after_ms, "event_type": event_type, **columns}
    return pl.DataFrame([_column(name, value, len(page)) for name, value in cells.items()])


def _column(name: str, value: Cells, n: int) -> pl.Series:
    dtype = HAPPENINGS.get(name) or NOTES.get(name) or CONTRACT.get(name)
    if isinstance(value, str | int | None):
        return pl.Series(name, [value], dtype=dtype).new_from_index(0, n)
    series = pl.Series(name, value)
    return series if dtype is None else series.cast(dtype)


def strings(table: Sequence[str | None], index: Ints) -> pl.Series:
    """A word of a small table for every index."""
    return pl.Series(table, dtype=pl.String).gather(index)


def repeated(rows: Ints, times: Ints) -> tuple[Ints, Ints]:
    """Every row as often as it says, and the number of each within its run, from 0."""
    begins = np.cumsum(times) - times
    return np.repeat(rows, times), np.arange(times.sum()) - np.repeat(begins, times)
