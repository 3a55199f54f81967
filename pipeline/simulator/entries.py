"""Events of orders, deliveries and tickets as they are written down: each with the case it belongs to and its time.

Frames:  ENTRIES: the columns of the family's contract that it has stand beside
"""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import polars as pl
from schemas import contracts

from pipeline.simulator.columns import TIME, schema
from pipeline.simulator.draws import Bools, Ints
from pipeline.simulator.happenings import Cells
from pipeline.simulator.identifiers import uuids

ENTRIES = schema({"case": pl.Int64, "at_ms": pl.Int64, "event_type": pl.String})
"""`case`: row of the cases that are told. `at_ms`: epoch ms."""
NOTES = schema({"planted": pl.String, "vague": pl.Boolean, "measure": pl.Float64})
"""As in `happenings.NOTES`."""
MINUTE_MS = 60_000
_DTYPES: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "int": pl.Int32(),
    "long": pl.Int64(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
    "timestamp-millis": TIME,
}


@cache
def contract_of(family: str) -> pl.Schema:
    """Column -> dtype of a family's contract, in its order."""
    return pl.Schema({field["name"]: _DTYPES[_kind(field["type"])] for field in contracts.schema(family)["fields"]})


def _kind(type_: object) -> str:
    plain = type_[1] if isinstance(type_, list) else type_
    return str(plain["logicalType"] if isinstance(plain, dict) else plain)


def entries(family: str, case: Ints, event_type: str | pl.Series, at_ms: Ints, **columns: Cells) -> pl.DataFrame:
    """Events of these cases; further columns by their names in the contract, one value for all or one a row. Times are epoch ms."""
    cells: dict[str, Cells] = {"case": case, "at_ms": at_ms, "event_type": event_type, **columns}
    dtypes = {**contract_of(family), **NOTES, **ENTRIES}
    return pl.DataFrame([_column(name, value, dtypes[name], len(case)) for name, value in cells.items()])


def _column(name: str, value: Cells, dtype: pl.DataType, n: int) -> pl.Series:
    if isinstance(value, str | int | float | None):
        return pl.Series(name, [value], dtype=dtype).new_from_index(0, n)
    return pl.Series(name, value).cast(dtype)


def told(rng: np.random.Generator, family: str, blocks: Sequence[pl.DataFrame], cases: pl.DataFrame) -> pl.DataFrame:
    """The entries in order of time within their case, with what every event of the case says. Frames: -> the contract, `case` and NOTES.

    `cases`: a row a case; its columns stand in an event where the event says nothing else.
    """
    columns = contract_of(family)
    empty = pl.DataFrame(schema={**ENTRIES, **NOTES, **{name: columns[name] for name in cases.columns}})
    frame = pl.concat([empty, *blocks], how="diagonal").sort("case", "at_ms", maintain_order=True)
    whose = cases[frame["case"]]
    frame = frame.with_columns(
        uuids(rng, frame.height).alias("event_id"),
        pl.col("at_ms").cast(TIME).alias("event_at"),
        *(pl.coalesce(name, whose[name]).alias(name) for name in cases.columns),
    )
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in columns.items() if name not in frame.columns]
    return frame.with_columns(absent).select("case", *columns, *NOTES)


def texts(values: pl.Series, keep: Bools) -> pl.Series:
    """The values where they are kept, else null."""
    return values.zip_with(pl.Series(keep), pl.repeat(None, len(values), dtype=values.dtype, eager=True))


def between(rng: np.random.Generator, n: int, least_ms: float, most_ms: float) -> Ints:
    """N spans of time between these, evenly."""
    drawn: Ints = rng.uniform(least_ms, most_ms, n).astype(np.int64)
    return drawn


def about(rng: np.random.Generator, n: int, median_ms: float, spread: float = 0.6) -> Ints:
    """N spans of time about this one, some much longer."""
    drawn: Ints = (median_ms * rng.lognormal(0.0, spread, n)).astype(np.int64) + 1
    return drawn
