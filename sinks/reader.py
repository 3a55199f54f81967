"""Looking into the tables with SQL that a person wrote: one statement, that only reads, and reads tables only (statements.py)."""

import threading
from types import TracebackType
from typing import Self

import polars as pl
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from sinks.addresses import Embedded, address
from sinks.clickhouse import connect
from sinks.failures import ReadRefused, words
from sinks.results import answer
from sinks.statements import TABLE_FUNCTIONS, refuse_more_than_reading, without_ours, written_down_by


class Reader:
    """A read-only client of one database, for one thread; a new one after every error."""

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

    def query(self, sql: str) -> pl.DataFrame:
        """What one statement finds.

        Raises:  ReadRefused if it is none that only reads tables, or ClickHouse does not understand it or fails at it, in its words;
            StoreBusy if the embedded store is open elsewhere
        """
        client = self._connected()
        try:
            statement = self._written_down(client, sql)
            refuse_more_than_reading(statement, self._sources(client), is_embedded=isinstance(self.address, Embedded))
            return answer(client, statement)
        except Error as error:
            self.close()
            raise ReadRefused(without_ours(words(error))) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the client."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> Client:
        mine = threading.get_ident()
        assert self._thread in {None, mine}, "a client of ClickHouse is for one thread"
        self._thread = mine
        if self._client is None:
            if isinstance(self.address, Embedded) and not self.address.is_there:
                message = f"there is no embedded store in {self.address.path}"
                raise ReadRefused(message)
            client = connect(self.address)
            client.database = self.database
            level = client.server_settings["readonly"].value if "readonly" in client.server_settings else "0"
            if level == "0":  # else the user may only read already, and may not say so again
                client.set_client_setting("readonly", 1)
            self._client = client
        return self._client

    @staticmethod
    def _written_down(client: Client, sql: str) -> str:
        """The one statement, as the engine writes it. More than one is a syntax error."""
        return str(client.query(written_down_by(sql)).result_rows[0][0])

    @staticmethod
    def _sources(client: Client) -> frozenset[str]:
        """Every table function that the engine has, in small letters."""
        return frozenset(name.lower() for (name,) in client.query(TABLE_FUNCTIONS).result_rows)
