"""Looking into the tables with SQL that a person wrote: one statement, that only reads, and reads tables only.

`readonly = 1` keeps a server's tables as they are. Of the embedded engine, which has no users and no grants, it is not enough: INTO
OUTFILE still writes a file, the function file() and the table function python() still read what they like (all tried). So the engine
itself writes the statement down in its own form first, without comments and on one line; what is looked through is what is run.
"""

import re
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

BEGINNINGS = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "EXISTS", "EXPLAIN"})

ALLOWED_SOURCES = frozenset(
    {
        "generaterandom",
        "generateseries",
        "generate_series",
        "null",
        "numbers",
        "numbers_mt",
        "primes",
        "values",
        "view",
        "zeros",
        "zeros_mt",
    }
)
"""Table functions that make their rows themselves; all others that the engine has are refused. In small letters."""

ALSO_FUNCTIONS = frozenset({"format", "fuzzquery"})
"""Table functions that are functions as well, and reach nothing as either. In small letters."""

REFUSED_FUNCTIONS = frozenset({"catboostevaluate", "file", "filesystem", "python"})
"""Functions that reach files or objects of the process. In small letters."""

_TOKEN = re.compile(
    r"""(?P<string>'(?:[^'\\]|\\.)*') | (?P<name>`(?:[^`\\]|\\.)*` | "(?:[^"\\]|\\.)*") | (?P<word>[A-Za-z_]\w*) | (?P<other>\S)""",
    re.VERBOSE | re.DOTALL,
)


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
            raise ReadRefused(words(error).partition(": In scope SELECT formatQuerySingleLine(")[0]) from error
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
            if isinstance(self.address, Embedded) and not (self.address.path / "metadata").is_dir():
                message = f"there is no embedded store in {self.address.path}"  # the engine would make one
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
        literal = "'" + sql.replace("\\", "\\\\").replace("'", "\\'") + "'"
        return str(client.query(f"SELECT formatQuerySingleLine({literal})").result_rows[0][0])

    @staticmethod
    def _sources(client: Client) -> frozenset[str]:
        """Every table function that the engine has, in small letters."""
        return frozenset(name.lower() for (name,) in client.query("SELECT name FROM system.table_functions").result_rows)


def refuse_more_than_reading(statement: str, sources: frozenset[str], *, is_embedded: bool) -> None:
    """Look through a statement in the engine's own form. `sources`: its table functions, in small letters.

    Raises:  ReadRefused if it does more than read tables
    """
    tokens = [(match.lastgroup or "", match.group()) for match in _TOKEN.finditer(statement)]
    first = next((text.upper() for kind, text in tokens if text != "("), "")
    if first not in BEGINNINGS:
        message = f"{first or 'nothing'} is not allowed here: a statement begins with {', '.join(sorted(BEGINNINGS))}"
        raise ReadRefused(message)
    refused = (sources - ALLOWED_SOURCES - ALSO_FUNCTIONS) | REFUSED_FUNCTIONS
    words = [text.upper() if kind == "word" else "" for kind, text in tokens]
    for at, (kind, text) in enumerate(tokens):
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if words[at : at + 2] == ["INTO", "OUTFILE"] or words[at : at + 2] == ["PARALLEL", "WITH"]:
            message = f"{words[at]} {words[at + 1]} is not allowed here: statements only read"
            raise ReadRefused(message)
        if text == "FORMAT" and at == len(tokens) - 2:  # the engine writes its own words in capitals
            raise ReadRefused("FORMAT is not allowed here: leave it out")
        if kind not in {"word", "name"}:
            continue
        name = text.strip('`"').lower()
        if following == "(" and (name in refused or (name.startswith("ai") and text[2:3].isupper())):
            message = f"{text}() is not allowed here: statements read tables, no files, addresses or programs"
            raise ReadRefused(message)
        if words[at - 1 : at] == ["APPLY"]:
            raise ReadRefused("APPLY is not allowed here: name the function for each column")
        if is_embedded and name == "default" and following == ".":
            raise ReadRefused("the database `default` of the embedded engine is the file system: it is not read here")
