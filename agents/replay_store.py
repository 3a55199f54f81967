"""The store of a replay: opened only if no worker writes it, written in large batches, counted at the end.

**Delivery:** what `flush` has returned from is in ClickHouse. A server that is busy or away is waited for, a minute at most.
"""

import random
import time
import uuid
from collections.abc import Callable

import polars as pl
from clickhouse_connect.driver.binding import quote_identifier

from agents.store_claim import Kind, claim, refuse_if_worker_writes
from agents.versions import VersionClock
from pipeline.frames import TABLES
from sinks.batching import Backoff
from sinks.clickhouse import ClickHouse
from sinks.failures import WriteFailed
from sinks.migrate import apply

PATIENCE_S = 60.0
"""How long rows are tried again that were not taken."""


class ReplayStore:
    """Tables that a replay writes."""

    def __init__(self, store: ClickHouse, *, batch_rows: int, sleep: Callable[[float], None] = time.sleep) -> None:
        """Write so many rows of a table at once, at least about."""
        self._store, self._batch_rows, self._sleep = store, batch_rows, sleep
        self._clock = VersionClock()
        self._waiting: dict[str, list[pl.DataFrame]] = {}
        self._token = uuid.uuid4().hex
        self._written = 0

    def open(self) -> None:
        """Make the tables what this version needs, and note that a replay writes them.

        Raises: StoreClaimed if a worker does; MigrationRefused; StoreBusy; the driver's errors
        """
        client = self._store.client()
        try:
            refuse_if_worker_writes(client, self._store.database)
            apply(client, self._store.database)
            claim(client, self._store.database, Kind.REPLAY)
        except BaseException:
            self._store.close()
            raise

    def put(self, tables: dict[str, pl.DataFrame]) -> None:
        """Take the rows of one step; ids are unique within it. Frames: TABLES, with or without `partition`. Raises: WriteFailed."""
        version = self._clock.stamp()
        for name, rows in tables.items():
            if rows.height:
                stamped = rows.select(*TABLES[name].schema, pl.lit(version, dtype=pl.Int64).alias("version"))
                self._waiting.setdefault(name, []).append(stamped)
        for name, waiting in self._waiting.items():
            if sum(rows.height for rows in waiting) >= self._batch_rows:
                self._write(name)

    def flush(self) -> None:
        """Write what waits. Raises: WriteFailed."""
        for name in self._waiting:
            self._write(name)

    def counts(self) -> dict[str, int]:
        """Table -> rows of its `_now` view, whoever wrote them."""
        database = quote_identifier(self._store.database)
        return {name: int(self._store.query(f"SELECT count() AS n FROM {database}.{name}_now")["n"][0]) for name in TABLES}  # noqa: S608 - quoted

    def _write(self, table: str) -> None:
        waiting, self._waiting[table] = self._waiting[table], []
        if not waiting:
            return
        rows = pl.concat(waiting)
        self._written += 1
        token, until, failures = f"{self._token}-{self._written}", time.monotonic() + PATIENCE_S, 0
        while True:
            try:
                self._store.write(table, rows, token=token)
            except WriteFailed as failure:
                failures += 1
                if not failure.retryable or time.monotonic() >= until:
                    raise
                self._sleep(Backoff().wait_s(failures, random.random()))  # noqa: S311 - so that not all come back at once
            else:
                return
