"""Real ClickHouse for tests: the engine in this process, or behind HTTP in one of its own; a database of its own for every test.

A process has one engine path at a time, so all tests of a process share one folder. A test that needs another one starts a process.
"""

import os
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from agents.child_process import ChildProcess
from agents.embedded_broker import free_port
from pipeline.frames import TABLES, TIME
from sinks.clickhouse import ClickHouse, connect
from sinks.columns import ALWAYS_THERE
from sinks.migrate import apply, has_database

HOUSE = Path(__file__).parents[1]
START_TIMEOUT_S = 60.0
EMPTY: dict[Any, Any] = {pl.String: "", pl.List: [], pl.Binary: b"", pl.UInt8: 0, pl.UInt32: 0}
SOME_TIME = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Store:
    """A database with all tables, all of them empty."""

    dsn: str
    database: str

    def open(self) -> ClickHouse:
        """A client of its own, for the thread that asks."""
        return ClickHouse(self.dsn, self.database)

    def query(self, sql: str) -> pl.DataFrame:
        """What a SELECT finds."""
        with self.open() as store:
            return store.query(sql)

    def command(self, sql: str) -> None:
        """Do something to the database."""
        with self.open() as store:
            store.client().command(sql)


_migrated: dict[str, str] = {}
"""Where ClickHouse is -> a database there that the migrations made, and no test uses."""


def migrated(client: Client, dsn: str) -> str:
    """A database that the migrations made, once for all tests: they are dozens of statements, and cost half a second."""
    if dsn not in _migrated or not has_database(client, _migrated[dsn]):  # another server may have the port by now
        name = new_name()
        apply(client, name)
        _migrated[dsn] = name
    return _migrated[dsn]


def copied(client: Client, of: str) -> str:
    """A new database with the same tables and views, and the same migrations remembered."""
    database = new_name()
    client.command(f"CREATE DATABASE {database}")
    made_by = f"SELECT create_table_query FROM system.tables WHERE database = '{of}' ORDER BY engine = 'View'"
    for (statement,) in client.query(made_by).result_rows:
        client.command(statement.replace(f"{of}.", f"{database}."))
    client.command(f"INSERT INTO {database}.migrations SELECT * FROM {of}.migrations")
    return database


def new_name() -> str:
    """Name of a database, new with every test."""
    return f"test_{uuid.uuid4().hex[:12]}"


def store_at(dsn: str) -> Iterator[Store]:
    """A database with all tables, dropped afterwards."""
    client = connect(dsn)
    try:
        database = copied(client, migrated(client, dsn))
        yield Store(dsn, database)
        client.command(f"DROP DATABASE {database} SYNC")
    finally:
        client.close()


class Front:
    """A server of ClickHouse, as far as one is to be had: the engine behind HTTP."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.dsn = f"clickhouse://default@127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Start it, or start it again on the same folder and port."""
        command = [sys.executable, "-m", "tests.clickhouse_front", str(self._port), str(self._folder)]
        self._process = ChildProcess(command, env={**os.environ, "PYTHONPATH": str(HOUSE)})
        until = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                connect(self.dsn).close()
            except Error:
                assert self._process.exit_code is None, self._process.printed()
                assert time.monotonic() < until, "ClickHouse does not answer"
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """Let it crash."""
        self._process.kill()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A server, one for all tests."""
    front = Front(tmp_path_factory.mktemp("server"))
    yield front
    front.kill()


@pytest.fixture
def server_store(server: Front) -> Iterator[Store]:
    """A database with all tables, on a server."""
    yield from store_at(server.dsn)


@pytest.fixture(scope="session")
def store_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The embedded engine, kept open: it starts and ends with its first and last client."""
    folder: Path = tmp_path_factory.mktemp("store")
    dsn = f"chdb://{folder}"
    client = connect(dsn)
    yield dsn
    client.close()


@pytest.fixture
def embedded_store(store_dsn: str) -> Iterator[Store]:
    """As `store`, for tests that call `store` whatever there is."""
    yield from store_at(store_dsn)


@pytest.fixture
def store(store_dsn: str) -> Iterator[Store]:
    """An embedded database with all tables."""
    yield from store_at(store_dsn)


def rows_of(table: str, *rows: dict[str, Any], version: int = 1) -> pl.DataFrame:
    """Rows as they come to a sink: what is not said is absent, and what must not be absent is made up."""
    schema = TABLES[table].schema
    made_up = {name: SOME_TIME if schema[name] == TIME else 1 for name in ALWAYS_THERE.get(table, ())}
    blank = {name: EMPTY.get(type(dtype)) for name, dtype in schema.items()}
    said = [{**blank, "site": "shop", **made_up, **row, "version": version} for row in rows]
    return pl.DataFrame(said, schema={**schema, "version": pl.Int64})
