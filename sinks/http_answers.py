"""What the embedded engine answers to requests of BI tools: of statements that only read tables, and only so much.

Every request has a connection of its own, thrown away afterwards: what a failed query leaves over would answer the next one. Limits
are set on it first, then `readonly = 1`, so that no statement can change them.
"""

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chdb

from sinks.addresses import Embedded
from sinks.bounded_answer import TooLong, bounded
from sinks.clickhouse import connect
from sinks.failures import ReadRefused
from sinks.http_asked import Asked, packed, summary
from sinks.statements import TABLE_FUNCTIONS, refuse_more_than_reading, without_format, without_ours, written_down_by

LONGEST_ANSWER = 32 << 20
"""Bytes."""
LONGEST_QUERY_S = 20
MARK = "ebbtide-http"
"""By it our queries are known among all of the engine."""

LIMITS = {
    "log_comment": MARK,
    "max_execution_time": str(LONGEST_QUERY_S),
    "timeout_before_checking_execution_speed": "0",
    "max_memory_usage": str(512 << 20),
    "max_result_bytes": str(LONGEST_ANSWER),
    "max_threads": "1",
    "max_bytes_before_external_group_by": "0",
    "max_bytes_before_external_sort": "0",
    "session_timezone": "UTC",
    "use_query_cache": "0",
}
"""What a query may take: the worker beside it needs the machine. `session_timezone` may be asked for otherwise."""

SETTINGS_TAKEN = re.compile(
    r"(?:date_time_(?:input|output)_format|extremes|final|group_by_use_nulls|join_use_nulls|max_block_size|max_execution_time|max_result_rows"
    r"|prefer_column_name_to_alias|result_overflow_mode|session_timezone|use_skip_indexes_if_final_exact_mode"
    r"|output_format_(?:arrow|csv|decimal|json|native|parquet|pretty|tsv)_[a-z0-9_]+)"
)
"""Settings that a request may bring: they change how an answer looks, or make it smaller."""

FORMATS = "SELECT name FROM system.formats WHERE is_output"
NOT_HERE = frozenset(
    {"arrowtable", "capnproto", "dataframe", "datastore", "protobuf", "protobuflist", "protobufsingle", "template"}
)
"""Formats that are objects of this process, or need a file. In small letters."""
OUR_DATABASE = frozenset({"", "default"})
"""Names that mean the database of our tables: `default` of the embedded engine is the file system."""

READONLY, UNKNOWN_FORMAT, TOO_MANY_BYTES, BAD_PARAMETER, UNKNOWN_EXCEPTION = 164, 73, 396, 457, 1002
STATUS = {
    **dict.fromkeys((6, 26, 27, 36, 38, 41, 43, 53, 62, 69, 70, 72, BAD_PARAMETER), 400),
    READONLY: 403,
    **dict.fromkeys((46, 47, 60, UNKNOWN_FORMAT, 81, 115), 404),
    159: 408,
    48: 501,
    202: 503,
}
"""Code of the engine -> HTTP status, as a server's; all others are 500."""

_CODE = re.compile(r"Code: (\d+)\. ")
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Engine:
    """The engine of this process, kept open; connections of it for others."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises: StoreBusy if another one is open in this process, or this one elsewhere."""
        self._path = str(path)
        client = connect(Embedded(path))
        try:
            self._kept = chdb.connect(self._path)
        finally:
            client.close()
        self.version, self.zone = self.lines("SELECT version(), timezone()")[0].split("\t")

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """Give a connection, for this thread."""
        connection = chdb.connect(self._path)
        try:
            yield connection
        finally:
            connection.close()

    def lines(self, sql: str) -> list[str]:
        """What a query of ours finds, a string a row."""
        with self.connection() as connection:
            found: bytes = connection.query(sql, "TabSeparatedRaw").bytes() or b""
        return found.decode().splitlines()

    def stop_queries(self) -> None:
        """End those that were asked for over HTTP."""
        with self.connection() as connection:
            connection.query(f"KILL QUERY WHERE Settings['log_comment'] = '{MARK}' ASYNC")

    def close(self) -> None:
        """Let go of it: it ends with its last connection."""
        self._kept.close()


class Answers:
    """Answers requests that only read; from any thread. `__call__` raises nothing on requests, whatever they ask."""

    def __init__(self, engine: Engine, database: str) -> None:
        """Take the engine, and the database of requests that name none."""
        self._engine, self._database = engine, database
        self._sources = frozenset(name.lower() for name in engine.lines(TABLE_FUNCTIONS))
        self._formats = {name.lower(): name for name in engine.lines(FORMATS) if name.lower() not in NOT_HERE}

    def __call__(self, asked: Asked) -> Answer:
        """Answer one request."""
        try:
            with self._engine.connection() as connection:
                found = self._found(connection, asked)
        except ReadRefused as refused:
            found = failed(READONLY, str(refused))
        except TooLong as error:
            found = failed(TOO_MANY_BYTES, str(error))
        except (chdb.ChdbError, RuntimeError) as error:
            found = engine_failed(error, self._engine.version)
        said = {"X-ClickHouse-Query-Id": asked.query_id or str(uuid.uuid4()), "X-ClickHouse-Timezone": self._engine.zone}
        return Answer(found.body, found.status, {**said, **found.headers})

    def _found(self, connection: Any, asked: Asked) -> Answer:
        try:
            sql = asked.text.decode()
        except UnicodeDecodeError:
            return failed(62, "Syntax error: the statement is not UTF-8")
        written = written_down(connection, sql)
        statement, named = without_format(written)
        refuse_more_than_reading(statement, self._sources, is_embedded=True)
        kind = self._formats.get((named or asked.format).lower())
        if kind is None:
            return failed(UNKNOWN_FORMAT, f"Unknown format {named or asked.format}")
        self._prepare(connection, asked)
        if statement.lstrip("(").startswith(("SELECT", "WITH")):
            answer, found = bounded(connection, statement, kind, LONGEST_ANSWER)
        else:  # SHOW, DESCRIBE, EXPLAIN: never long, and some of them know no INTO OUTFILE
            found = connection.query(statement, kind)
            answer = found.bytes() or b""
        told = summary(
            read_rows=found.storage_rows_read(),
            read_bytes=found.storage_bytes_read(),
            result_rows=found.rows_read(),
            result_bytes=len(answer),
            elapsed_ns=round(found.elapsed() * 1e9),
        )
        headers = {"X-ClickHouse-Summary": told, "X-ClickHouse-Format": kind, "Content-Type": content_type(kind)}
        if asked.encoding:
            answer, headers["Content-Encoding"] = packed(answer, asked.encoding), asked.encoding
        return Answer(answer, headers=headers)

    def _prepare(self, connection: Any, asked: Asked) -> None:
        database = self._database if asked.database.lower() in OUR_DATABASE else asked.database
        connection.query(f"USE {name_quoted(database)}")
        for name, value in LIMITS.items():
            connection.query(f"SET {name} = {quoted(value)}")
        for name, value in asked.settings.items():
            if name == "readonly":
                continue  # it is said below, and not to be said otherwise
            if not SETTINGS_TAKEN.fullmatch(name):
                message = f"Cannot modify '{name}' setting in readonly mode: statements only read here"
                raise ReadRefused(message)
            connection.query(f"SET {name} = {quoted(_bounded(name, value))}")
        for name, value in asked.parameters.items():
            if not _NAME.fullmatch(name):
                message = f"{name!r} is no name of a parameter"
                raise ReadRefused(message)
            if value.strip('`"').lower() == "default":
                _refuse_as_name(asked.text, name)
            connection.query(f"SET param_{name} = {quoted(value)}")
        connection.query("SET readonly = 1")


def written_down(connection: Any, sql: str) -> str:
    """The one statement, as the engine writes it. Raises: chdb.ChdbError in the engine's words, without our question."""
    try:
        written: bytes = connection.query(written_down_by(sql), "RawBLOB").bytes()
    except (chdb.ChdbError, RuntimeError) as error:
        raise chdb.ChdbError(without_ours(str(error))) from error
    return written.decode()


def _bounded(name: str, value: str) -> str:
    """A limit that is asked for makes ours smaller, never larger."""
    if name != "max_execution_time":
        return value
    asked = float(value) if re.fullmatch(r"\d+(\.\d+)?", value) else 0.0
    return str(min(asked, LONGEST_QUERY_S) if asked > 0 else LONGEST_QUERY_S)


def _refuse_as_name(text: bytes, name: str) -> None:
    if re.search(rb"\{\s*" + name.encode() + rb"\s*:\s*Identifier\s*\}", text, re.IGNORECASE):
        raise ReadRefused("the database `default` of the embedded engine is the file system: it is not read here")


def engine_failed(error: Exception, version: str) -> Answer:
    """What the engine raised, as a server tells it."""
    code = _CODE.search(str(error))
    return failed(int(code[1]) if code else UNKNOWN_EXCEPTION, re.sub(r"^Code: \d+\. DB::Exception: ", "", str(error)), version)


def failed(code: int, message: str, version: str = "ebbtide") -> Answer:
    """An error, as a server tells it."""
    told = message if "DB::Exception" in message else f"Code: {code}. DB::Exception: {message}"
    return Answer(f"{told} (version {version})\n".encode(), STATUS.get(code, 500), {"X-ClickHouse-Exception-Code": str(code)})


def content_type(kind: str) -> str:
    """What HTTP calls a format."""
    if kind in {"JSON", "JSONCompact", "JSONStrings", "JSONColumns", "JSONColumnsWithMetadata"}:
        return "application/json; charset=UTF-8"
    if kind.startswith("CSV"):
        return "text/csv; charset=UTF-8"
    if kind.startswith(("TabSeparated", "TSV")):
        return "text/tab-separated-values; charset=UTF-8"
    return "application/octet-stream" if kind in {"Native", "RowBinary", "Parquet", "Arrow"} else "text/plain; charset=UTF-8"


def quoted(text: str) -> str:
    """As a string of SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def name_quoted(name: str) -> str:
    """As a name of SQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
