"""Who writes a store. A worker and a replay must not write the same one: each has its own state, and would say other things under the same ids.

The store itself remembers it, in the table `writers`, for ever: a worker that is stopped comes back. Two replays may write one store; what
the second says replaces the first, row by row.
"""

from enum import StrEnum

from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client

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
