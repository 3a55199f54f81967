"""The tables of ClickHouse, step by step: numbered files that are only ever added to, and a table that remembers which were applied.

ClickHouse has no transactions over tables: every statement can be run again, so that a migration that broke off is simply applied
once more, and two workers may apply the same one at the same time.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client

from sinks.view_comments import comment_views

REMEMBERED = """
CREATE TABLE IF NOT EXISTS migrations
(
    `number` UInt32 COMMENT 'number of the migration',
    `name` String COMMENT 'its name',
    `digest` String COMMENT 'SHA-256 of its statements',
    `applied_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when it was applied [UTC]'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY number
COMMENT 'migrations that were applied to this database'
"""


class MigrationRefused(RuntimeError):
    """The database is not one that this version can go on from."""


@dataclass(frozen=True)
class Migration:
    """One step of the tables."""

    number: int
    name: str
    sql: str

    @property
    def statements(self) -> tuple[str, ...]:
        """Its statements; each ends with a semicolon at the end of a line."""
        return tuple(filter(None, (statement.strip() for statement in f"{self.sql.strip()}\n".split(";\n"))))

    @property
    def digest(self) -> str:
        """Tells whether a file was changed after it had been applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def __str__(self) -> str:
        """Number and name, as the file is called."""
        return f"{self.number:04}_{self.name}"


@cache
def migrations() -> tuple[Migration, ...]:
    """All there are, in order."""
    found = []
    for file in files("sinks").joinpath("migrations").iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        found.append(Migration(int(number), name, file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.number))


def pending(client: Client, database: str) -> tuple[Migration, ...]:
    """What has not been applied yet to this database.

    Raises:  MigrationRefused if the database knows migrations that we do not, or one of ours differently
    """
    applied = _applied(client, database)
    known = {migration.number: migration for migration in migrations()}
    if newer := sorted(set(applied) - set(known)):
        message = f"database {database} is newer than this version of Ebbtide: it has migration {newer[-1]}, we know {max(known)}"
        raise MigrationRefused(message)
    changed = [str(known[number]) for number, digest in applied.items() if known[number].digest != digest]
    if changed:
        message = f"database {database} has other migrations than this version under the same number: {', '.join(sorted(changed))}"
        raise MigrationRefused(message)
    return tuple(migration for number, migration in known.items() if number not in applied)


def apply(client: Client, database: str, *, dry_run: bool = False) -> tuple[Migration, ...]:
    """Make the database and its tables what this version needs; return what was applied, or would be. Columns of views get their comments.

    Take a client that `connect` made; its database is this one afterwards.

    Cases:   nothing to do -> () | a dry run -> nothing is changed
    Raises:  as `pending`; the driver's errors
    """
    todo = pending(client, database)
    if dry_run:
        return todo
    if not has_database(client, database):  # where it is there, our user need not have the right to make one
        client.command(f"CREATE DATABASE IF NOT EXISTS {quote_identifier(database)}")
    client.database = database
    if todo:
        client.command(REMEMBERED)
    for migration in todo:
        for statement in migration.statements:
            client.command(statement)
        client.command(
            "INSERT INTO migrations (number, name, digest) VALUES ({number:UInt32}, {name:String}, {digest:String})",
            parameters={"number": migration.number, "name": migration.name, "digest": migration.digest},
            settings={"async_insert": 0},
        )
    comment_views(client, database)
    return todo


def has_database(client: Client, database: str) -> bool:
    """Whether it is there."""
    asked = {"name": database}
    return bool(client.query("SELECT 1 FROM system.databases WHERE name = {name:String}", parameters=asked).result_rows)


def _applied(client: Client, database: str) -> dict[int, str]:
    """Number -> digest of what was applied."""
    is_there = client.query(
        "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'migrations'",
        parameters={"database": database},
    ).result_rows[0][0]
    if not is_there:
        return {}
    found = client.query(f"SELECT number, digest FROM {quote_identifier(database)}.migrations FINAL ORDER BY number")  # noqa: S608 - quoted
    return {int(number): str(digest) for number, digest in found.result_rows}
