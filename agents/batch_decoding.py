"""Messages between stages -> rows and what is said beside them, side by side and in any thread: what depends on order is decided later (hearing.py).

Frames:  -> passed.heard(tables) with no `watermark` yet, REJECTS of what is no message of ours
Cases:   a column that the message does not have -> null | one that we do not know -> left out
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import polars as pl
import pyarrow as pa

from agents.arrow_batches import Batch
from agents.stages import Decode
from pipeline.about import Head
from pipeline.decode import Decoded, Records
from pipeline.frames import REJECTS, TIME
from pipeline.passed import heard
from pipeline.rejects import Reason

_FROM_HEAD = ("family", "partition", "offset", "is_forwarded")
"""Columns of which the message says one value for all of its rows."""


def batch_decoder(*tables: str) -> Decode:
    """Decode messages with rows of these tables."""
    return partial(_decoded, tables=tables)


def _decoded(records: Records, tables: Sequence[str]) -> Decoded:
    heads: list[Head] = []
    found: dict[str, list[tuple[int, pa.Table]]] = {}  # table -> number of the head, rows
    refused: list[tuple[int, str]] = []
    for at, (partition, offset, value) in enumerate(zip(records.partitions, records.offsets, records.values, strict=True)):
        try:
            batch = Batch(value or b"")
            about = batch.about
            rows = batch.rows() if about.table else None
            if about.table and about.table not in tables:
                message = f"nobody here knows rows of {about.table!r}"
                raise ValueError(message)  # noqa: TRY301 - told below, as what is no batch at all
        except ValueError as error:
            refused.append((at, str(error)))
            continue
        if rows is not None and rows.num_rows:
            found.setdefault(about.table, []).append((len(heads), rows))
        heads.append(Head(partition, offset, about, _last_row(rows)))
    return Decoded(_rows(found, heads, tables), _rejects(refused, records), heads=tuple(heads))


def _last_row(rows: pa.Table | None) -> int:
    if rows is None or not rows.num_rows or "origin_offset" not in rows.column_names:
        return -1
    return int(rows.column("origin_offset")[-1].as_py())


def _rows(found: dict[str, list[tuple[int, pa.Table]]], heads: Sequence[Head], tables: Sequence[str]) -> pl.DataFrame:
    """All rows, table after table, each in the order of its messages."""
    schema = heard(*tables)
    partition = np.array([head.partition for head in heads], np.int32)
    offset = np.array([head.offset for head in heads], np.int64)
    is_forwarded = np.array([head.about.is_forwarded for head in heads], bool)
    frames = [schema.to_frame()]
    for table, batches in found.items():
        rows = pl.DataFrame(pl.from_arrow(pa.concat_tables([rows for _, rows in batches], promote_options="default")))
        which = np.repeat([at for at, _ in batches], [rows.num_rows for _, rows in batches])
        frames.append(
            rows.select(
                pl.lit(table).alias("family"),
                pl.Series("partition", partition[which]),
                pl.Series("offset", offset[which]),
                pl.Series("is_forwarded", is_forwarded[which]),
                *(pl.col(name).cast(schema[name]) for name in rows.columns if name in schema and name not in _FROM_HEAD),
            )
        )
    return pl.concat(frames, how="diagonal", rechunk=True)


def _rejects(refused: Sequence[tuple[int, str]], records: Records) -> pl.DataFrame:
    rows = [
        {
            "partition": records.partitions[at],
            "offset": records.offsets[at],
            "record_at": records.record_at_ms[at],
            "reason": str(Reason.UNDECODABLE),
            "detail": detail,
            "schema_id": None,
            "key": records.keys[at],
            "payload": records.values[at],
        }
        for at, detail in refused
    ]
    return pl.DataFrame(rows, schema={**REJECTS, "record_at": pl.Int64}).with_columns(pl.col("record_at").cast(TIME))
