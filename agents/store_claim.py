"""Who writes a store. A worker and a replay must not write the same one: each has its own state, and would say other things under the same ids.

The store itself remembers it, in the table `writers`, for ever: a worker that is stopped comes back. Two replays may write one store; what
the second says replaces the first, row by row. A worker that starts while its store is away claims it before the first row that it writes.
"""

import logging
from enum import StrEnum

import polars as pl
import pyarrow as pa
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from sinks.clickhouse import ClickHouse
from sinks.failures import Cure, StoreBusy, WriteFailed, failure
from sinks.migrate import MigrationRefused, apply

log = logging.getLogger(__name__)

WRITERS = """
CREATE TABLE IF NOT EXISTS writers
(
    `kind` LowCardinality(String) COMMENT 'worker or replay',
    `name` String COMMENT 'broker cluster and consumer group of a worker',
    `claimed_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when it was started last [UTC]'
)
ENGINE = ReplacingMergeTree(claimed_at)
ORDER BY (kind, name)
COMMENT 'who has written this database'
"""


class Kind(StrEnum):
    """Who may write a store."""

    WORKER = "worker"
    REPLAY = "replay"


class StoreClaimed(RuntimeError):
    """Somebody writes this store whom we must not join; the message says who, and what to do."""


def claim(client: Client, database: str, kind: Kind, name: str = "") -> None:
    """Note who writes from now on; the database is there, with its tables. Raises: the driver's errors."""
    client.command(WRITERS)
    client.command(
        f"INSERT INTO {quote_identifier(database)}.writers (kind, name) VALUES ({{kind:String}}, {{name:String}})",  # noqa: S608 - quoted
        parameters={"kind": str(kind), "name": name},
        settings={"async_insert": 0},
    )


def refuse_if_worker_writes(client: Client, database: str) -> None:
    """Raises: StoreClaimed if a worker has ever written this database; the driver's errors."""
    there = client.query(
        "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'writers'",
        parameters={"database": database},
    ).result_rows[0][0]
    if not there:
        return
    workers = client.query(
        f"SELECT name FROM {quote_identifier(database)}.writers WHERE kind = {{kind:String}} LIMIT 1",  # noqa: S608 - quoted
        parameters={"kind": str(Kind.WORKER)},
    ).result_rows
    if workers:
        message = (
            f"a worker ({workers[0][0]}) writes database {database}, and a replay would overwrite what it says: "
            "name another store with --clickhouse, or another database in the setting clickhouse.database"
        )
        raise StoreClaimed(message)


def claim_for_worker(client: Client, database: str, name: str) -> None:
    """Make the tables what this version needs, and note that this worker writes them. Raises: MigrationRefused; the driver's errors."""
    for migration in apply(client, database):
        log.info("migration %s applied to database %s", migration, database)
    claim(client, database, Kind.WORKER, name)


class ClaimedStore:
    """The store of a worker: no row is written before its tables are made and the worker has claimed it. Implements sinks.sink.Sink."""

    def __init__(self, store: ClickHouse, name: str, *, is_claimed: bool) -> None:
        """Take the store, the worker's name, and whether it has been claimed already."""
        self._store, self._name, self._is_claimed = store, name, is_claimed

    def write(self, table: str, rows: pa.Table | pl.DataFrame, *, token: str) -> None:
        """As the store; until it is claimed, that is tried first. Raises: WriteFailed."""
        if not self._is_claimed:
            self._claim()
        self._store.write(table, rows, token=token)

    def close(self) -> None:
        """Let go of the client."""
        self._store.close()

    def _claim(self) -> None:
        try:
            claim_for_worker(self._store.client(), self._store.database, self._name)
        except (MigrationRefused, StoreBusy) as error:
            self._store.close()
            raise WriteFailed(str(error), cure=Cure.REPAIR) from error
        except (Error, OSError) as error:
            self._store.close()
            raise _not_of_rows(failure(error)) from error
        self._is_claimed = True
        log.info("database %s is there, and claimed by this worker", self._store.database)


def _not_of_rows(failed: WriteFailed) -> WriteFailed:
    """What fails before any row was written says nothing of rows."""
    return failed if failed.cure != Cure.REFUSAL else WriteFailed(str(failed), code=failed.code, cure=Cure.REPAIR)
