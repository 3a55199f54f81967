"""What the records of one schema id become: events, and verdicts over the others.

Frames:  -> event_schema(family), VERDICTS
Cases:   a row that is marked when all are read at once is read alone, by the book
         a column that we do not know is left out, a column that the writer does not have is null, a number that does not fit is refused
Raises:  nothing on data
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline import single_datums
from pipeline.checks import VERDICTS
from pipeline.datums import MAX_FIELDS, Body, columns
from pipeline.events import event_schema
from pipeline.layouts import Layout, NotFlat, fitting
from pipeline.rejects import Reason

HEADER = 5
"""Bytes before the datum: 0, and the schema id in 4 bytes, big-endian."""

Rows = NDArray[np.int64]
"""Places in the batch, from 0."""


@dataclass(frozen=True)
class Reading:
    """What some rows of a batch became."""

    rows: Rows
    """The rows of `events`."""
    events: pl.DataFrame
    """event_schema(family)."""
    verdicts: pl.DataFrame
    """VERDICTS over all other rows, not sorted."""
    n_slow: int = 0
    """How many were read alone."""


def of_schema(body: Body, rows: Rows, family: str, schema_id: int, schema: Mapping[str, Any]) -> Reading:
    """Read the rows of one schema id."""
    try:
        places = fitting(schema, family)
        if len(places) > MAX_FIELDS:
            message = f"the schema has {len(places)} fields, {MAX_FIELDS} allowed"
            raise NotFlat(message)  # noqa: TRY301 - one handler for all that is wrong with a schema
    except NotFlat as error:
        return refused(rows, [(Reason.UNKNOWN_SCHEMA, f"schema {schema_id}: {error}")] * len(rows), family)
    whole = len(rows) == len(body.starts)
    starts, ends = (body.starts, body.ends) if whole else (body.starts[rows], body.ends[rows])
    found = columns(body, starts + HEADER, ends, places)
    fast = _fitted(found.series, len(rows), family)
    if not found.marked.any():
        return _ranged(rows, *fast)
    marked = np.flatnonzero(found.marked)
    datums = [body.octets[begin + HEADER : end].tobytes() for begin, end in zip(starts[marked], ends[marked], strict=True)]
    alone = _read_alone(rows[marked], datums, places, family)
    kept = ~found.marked
    quick = _ranged(rows[kept], *(frame if frame.is_empty() else frame.filter(pl.Series(kept)) for frame in fast))
    return Reading(
        np.concatenate([quick.rows, alone.rows]),
        pl.concat([quick.events, alone.events]),
        pl.concat([quick.verdicts, alone.verdicts]),
        len(marked),
    )


def _read_alone(rows: Rows, datums: Sequence[bytes], places: Layout, family: str) -> Reading:
    """Read datums one by one, by the book."""
    schema = single_datums.plain_schema(places)
    read = [single_datums.read(datum, schema, places) for datum in datums]
    good = [record for record in read if not isinstance(record, str)]
    is_good = np.fromiter((not isinstance(record, str) for record in read), np.bool_, len(read))
    wrong = [(Reason.UNDECODABLE, record) for record in read if isinstance(record, str)]
    bad = refused(rows[~is_good], wrong, family)
    if not good:
        return bad
    kinds = {"string": pl.String, "double": pl.Float64, "boolean": pl.Boolean}
    frame = pl.DataFrame(good, schema={place.name: kinds.get(place.kind, pl.Int64) for place in places})
    ranged = _ranged(rows[is_good], *_fitted(dict(zip(frame.columns, frame.get_columns(), strict=True)), len(good), family))
    return replace(ranged, verdicts=pl.concat([ranged.verdicts, bad.verdicts]))


def _fitted(series: Mapping[str, pl.Series | None], n: int, family: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Columns of the contract out of those of a writer, and which values did not fit: as booleans, of the columns that have any."""
    contract = event_schema(family)
    fitted, misfits = [], []
    for name, dtype in contract.items():
        given = series.get(name)
        if given is None:
            continue
        column = given.cast(dtype, strict=False)
        if column.null_count() > given.null_count():  # a long where we still have an int
            misfits.append(column.is_null() & given.is_not_null())
        fitted.append(column)
    frame = pl.DataFrame(fitted) if fitted else pl.DataFrame({"": pl.repeat(None, n, eager=True)})
    absent = [null for name, null in _nulls(family) if series.get(name) is None]
    return frame.with_columns(absent).select(*contract), pl.DataFrame(misfits)


@cache
def _nulls(family: str) -> tuple[tuple[str, pl.Expr], ...]:
    return tuple((name, pl.lit(None, dtype=dtype).alias(name)) for name, dtype in event_schema(family).items())


def _ranged(rows: Rows, events: pl.DataFrame, misfits: pl.DataFrame) -> Reading:
    """Refuse the rows with a value that is larger than its column."""
    if misfits.is_empty():
        return Reading(rows, events, pl.DataFrame(schema=VERDICTS))
    which = pl.coalesce(pl.when(pl.col(name)).then(pl.lit(f"{name} is larger than its column")) for name in misfits.columns)
    details = misfits.select(which.alias("detail"))["detail"]
    is_bad = details.is_not_null()
    verdicts = _verdicts(rows[is_bad.to_numpy()], [(Reason.OUT_OF_RANGE, detail) for detail in details.drop_nulls()])
    return Reading(rows[~is_bad.to_numpy()], events.filter(~is_bad), verdicts)


def refused(rows: Rows, why: Sequence[tuple[Reason, str]], family: str) -> Reading:
    """Rows of which none is good, and why."""
    return Reading(rows[:0], pl.DataFrame(schema=event_schema(family)), _verdicts(rows, why))


def _verdicts(rows: Rows, why: Sequence[tuple[Reason, str]]) -> pl.DataFrame:
    reasons, details = [str(reason) for reason, _ in why], [detail for _, detail in why]
    return pl.DataFrame({"row": rows, "reason": reasons, "detail": details}, schema=VERDICTS)
