"""Rows that ClickHouse does not take, however often they come: they become dead letters, and nothing waits for them.

**Delivery:** as rows of `dead_letters`; a dead letter that is refused itself is told in the log, with its beginning, and given up.
"""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import polars as pl
import pyarrow as pa

from pipeline.frames import DEAD_LETTERS
from pipeline.hashing import hash64
from sinks.writer import Refused

log = logging.getLogger(__name__)

REASON = "refused_by_clickhouse"
LONGEST_IN_LOG = 2_000


class Puts(Protocol):
    """Who writes (sinks.writer.Writer)."""

    def put(self, table: str, rows: pa.Table, done: Callable[[], None]) -> None:
        """Take rows, without waiting."""


class RefusedRows:
    """Is handed refused rows by the writer, and hands them back to it as dead letters. Set `writer` when it is made."""

    writer: Puts

    def __call__(self, refused: Refused, safe: Callable[[], None]) -> None:
        """Put them away; `safe` is called when they are."""
        if refused.table == DEAD_LETTERS.name:
            log.error("dead letters are given up: %s: %s", refused.reason, str(refused.rows.to_pylist())[:LONGEST_IN_LOG])
            safe()
        else:
            self.writer.put(DEAD_LETTERS.name, as_dead_letters(refused, datetime.now(UTC)), safe)


def as_dead_letters(refused: Refused, now: datetime) -> pa.Table:
    """Refused rows as rows of `dead_letters`: `payload` is the row in JSON. The same row refused again is the same dead letter."""
    payloads = [json.dumps(row, default=str, sort_keys=True) for row in refused.rows.to_pylist()]
    known = {"cluster_id": "", "topic": refused.table, "family": "", "stage": "sinks", "reason": REASON, "detail": refused.reason}
    texts = pl.Series("payload", payloads, pl.String)
    letters = pl.DataFrame({"payload": texts, "offset": (hash64(texts) >> 1).astype("int64")}).with_columns(
        *(pl.lit(value).alias(name) for name, value in {**known, "site": "", "key": ""}.items()),
        pl.lit(0, pl.Int32).alias("partition"),
        pl.lit(0, pl.Int64).alias("row"),
        pl.lit(now).cast(DEAD_LETTERS.schema["received_at"]).alias("received_at"),
        pl.lit(None, pl.Int32).alias("schema_id"),
        pl.lit(None, DEAD_LETTERS.schema["replayed_at"]).alias("replayed_at"),
        pl.lit(0, pl.UInt8).alias("is_deleted"),
        pl.col("payload").cast(pl.Binary),
    )
    versions = pl.Series("version", refused.rows["version"].to_pylist(), pl.Int64).fill_null(0)
    return letters.select(*DEAD_LETTERS.schema).with_columns(versions).to_arrow(compat_level=pl.CompatLevel.oldest())
