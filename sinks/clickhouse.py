"""ClickHouse, server or embedded, behind one client.

**Delivery:** a write that returns is in the table; one that raises may be. Written again it changes nothing: the server knows the
token for a while, and a row replaces the one of its id and version.
"""

import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import clickhouse_connect
import polars as pl
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from sinks.addresses import Address, Embedded, Server, address
from sinks.columns import conformed, sifted
from sinks.failures import Cure, StoreBusy, WriteFailed, failure
from sinks.migrate import has_database
from sinks.results import answer

CONNECT_TIMEOUT_S = 10
ANSWER_TIMEOUT_S = 60
"""A server that says nothing for so long is taken for dead; what was asked is asked again."""

_INSERT: dict[str, Any] = {
    "async_insert": 0,  # 26.9 has it on by default: it would mix our batches with others
    "deduplicate_insert": "enable",
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "input_format_null_as_default": 1,
    "max_partitions_per_insert_block": 0,  # a replay of ten years has more months than the 100 that are allowed at once
    "optimize_on_insert": 1,
}
"""Said explicitly, because defaults differ between versions; what a server does not know is left out."""


def connect(dsn: str | Address) -> Client:
    """A new client. Its database is the server's default: set `client.database`, which need not exist yet.

    Raises:  StoreBusy if the embedded store is open elsewhere; the driver's errors if there is no answer
    """
    at = address(dsn) if isinstance(dsn, str) else dsn
    client = _embedded(at.path) if isinstance(at, Embedded) else _remote(at)
    zone = client.server_settings.get("session_timezone")
    if zone is not None and not zone.readonly:
        client.set_client_setting("session_timezone", "UTC")  # what is written without a zone means UTC, wherever the server stands
    return client


def _remote(at: Server) -> Client:
    return clickhouse_connect.get_client(
        interface=at.interface,
        host=at.host,
        port=at.port,
        username=at.user,
        password=at.password,
        connect_timeout=CONNECT_TIMEOUT_S,
        send_receive_timeout=ANSWER_TIMEOUT_S,
        autogenerate_session_id=False,  # a session would hold us to one server behind a balancer, and to one query at a time
    )


def _embedded(path: Path) -> Client:
    holder = _holder(path)
    if holder is not None and holder != os.getpid():
        raise StoreBusy(_busy(path, holder))
    try:
        return clickhouse_connect.get_client(interface="chdb", path=str(path))
    except Error as error:
        if "already initialized with path" in str(error):
            message = f"the embedded store {path} cannot be opened: this process has another one open, and can have one at a time"
            raise StoreBusy(message) from error
        if _holder(path) is not None:  # somebody was faster; or its process has our number, in a container of its own
            raise StoreBusy(_busy(path, None)) from error
        raise


def _busy(path: Path, holder: int | None) -> str:
    who = f"process {holder}" if holder else "another process"
    return f"the embedded store {path} is in use: {who} has it open, and only one process at a time can; stop that one first"


def _holder(path: Path) -> int | None:
    """Process that has the store open, by the engine's own lock; 0 if it does not say which.

    The engine's answer to a second one is "Error initializing EmbeddedServer: ." and no more.
    """
    try:
        lock = os.open(path / "status", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        words = os.pread(lock, 200, 0).decode(errors="replace").split()
        return int(words[1]) if len(words) > 1 and words[0] == "PID:" and words[1].isdigit() else 0
    finally:
        os.close(lock)
    return None


class ClickHouse:
    """One client of one database, for one thread. Connects when it is first asked something, and anew after every error."""

    def __init__(self, dsn: str, database: str) -> None:
        """Take where it is. Raises: ValueError if the DSN says nothing that we know."""
        self.address = address(dsn)
        self.database = database
        self._client: Client | None = None
        self._thread: int | None = None

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def write(self, table: str, rows: pa.Table | pl.DataFrame, *, token: str) -> None:
        """Insert rows: the columns of `frames.TABLES[table]` and `version`.

        `token` is the name of exactly these rows: what comes under a name that the table has seen is not written.

        Raises:  WriteFailed; if its cure is REFUSAL, nothing is known of single rows: half of them may be taken alone
        """
        try:
            good, bad = sifted(table, conformed(table, rows))
        except ValueError as error:
            raise WriteFailed(str(error), cure=Cure.REFUSAL) from error
        if bad.num_rows:
            message = f"{bad.num_rows} of {rows.shape[0]} rows of {table} lack a time or number that no row lacks"
            raise WriteFailed(message, cure=Cure.REFUSAL)
        if good.num_rows:
            self._insert(table, good, token)

    def query(self, sql: str) -> pl.DataFrame:
        """What a SELECT of ours finds; SQL that a person wrote goes through `reader.Reader`.

        Raises:  the driver's errors
        """
        client = self.client()
        try:
            return answer(client, sql)
        except BaseException:
            self.close()
            raise

    def client(self) -> Client:
        """The client, connected; its database is ours if that is there already. Whoever gets an error from it has to `close`."""
        mine = threading.get_ident()
        assert self._thread in {None, mine}, "a client of ClickHouse is for one thread"
        self._thread = mine
        if self._client is None:
            self._client = connect(self.address)
            try:
                if has_database(self._client, self.database):
                    self._client.database = self.database
            except BaseException:
                self.close()
                raise
        return self._client

    def close(self) -> None:
        """Let go of the client. After an error of an embedded one this must be: what a failed query left over answers the next one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _insert(self, table: str, rows: pa.Table, token: str) -> None:
        try:
            client = self.client()
            settings = {name: value for name, value in _INSERT.items() if name in client.server_settings}
            client.insert_arrow(
                table, rows.combine_chunks(), database=self.database, settings={**settings, "insert_deduplication_token": token}
            )
        except StoreBusy as error:
            raise WriteFailed(str(error), cure=Cure.REPAIR) from error
        except (Error, OSError) as error:
            self.close()
            raise failure(error) from error
        except BaseException:
            self.close()
            raise
