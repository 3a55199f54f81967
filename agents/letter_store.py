"""Dead letters as ClickHouse has them: found by reason, topic and time, read with their bytes, and marked when they were sent again.

ClickHouse and not the topic, because here are all of them: also the rows that ClickHouse refused and what a replay of files could not use, for
as long as the table keeps them, and with a place for the mark.

**Delivery:** a mark is a new version of the row, above the one that was read. A worker that says a letter again (after a crash, what came after
its last checkpoint) says it with a newer version, without the mark.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, TypeVar

import polars as pl
from clickhouse_connect.driver.binding import format_query_value, quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from agents.dead_letters import is_cut, key_bytes
from pipeline.frames import DEAD_LETTERS
from sinks.addresses import Embedded
from sinks.clickhouse import ClickHouse
from sinks.failures import ReadRefused, failure

T = TypeVar("T")

CHUNK_LETTERS, CHUNK_BYTES = 500, 16 << 20
"""Letters that are read with their bytes at once, at most."""
_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Wanted:
    """Which letters; what is not said is any."""

    reason: str | None = None
    topic: str | None = None
    since: datetime | None = None
    """Record time, or later."""

    def condition(self) -> str:
        """It in SQL."""
        said = [
            f"{name} = {format_query_value(value)}" for name in ("reason", "topic") if (value := getattr(self, name)) is not None
        ]
        if self.since is not None:
            said.append(f"received_at >= fromUnixTimestamp64Milli({round(self.since.timestamp() * 1_000)})")
        return " AND ".join(said) or "1"


@dataclass(frozen=True)
class Letter:
    """One dead letter, whole."""

    cluster_id: str
    topic: str
    partition: int
    offset: int
    row: int
    received_at: datetime | None
    family: str
    stage: str
    reason: str
    detail: str
    schema_id: int | None
    key: str
    payload: bytes
    replayed_at: datetime | None

    @property
    def place(self) -> str:
        """Where it lay, as it is typed."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def key_bytes(self) -> bytes | None:
        """Its key as it came."""
        return key_bytes(self.key)

    @property
    def is_cut(self) -> bool:
        """Whether not all of it is here."""
        return is_cut(self.detail)


_COLUMNS = tuple(Letter.__dataclass_fields__)
_SHORT = ("received_at", "topic", "`partition`", "offset", "reason", "detail", "key", "length(payload) AS n_bytes", "replayed_at")


class LetterStore:
    """The table `dead_letters` of one database, for one thread."""

    def __init__(self, dsn: str, database: str) -> None:
        """Take where it is. Raises: ReadRefused if it is an embedded store that is not there, which the engine would make."""
        self._store = ClickHouse(dsn, database)
        self._table = f"{quote_identifier(database)}.dead_letters"
        at = self._store.address
        if isinstance(at, Embedded) and not at.is_there:
            message = f"there is no embedded store in {at.path}"
            raise ReadRefused(message)

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self._store.close()

    def counts(self, wanted: Wanted) -> pl.DataFrame:
        """How many there are by reason and topic, and how many of them were sent again."""
        counts = "count() AS n, countIf(replayed_at IS NOT NULL) AS n_replayed"
        names = f"reason, topic, {counts}, min(received_at) AS first_at, max(received_at) AS last_at"
        rest = "GROUP BY reason, topic ORDER BY n DESC, reason, topic"
        return self._found(f"SELECT {names} FROM {self._table}_now WHERE {wanted.condition()} {rest}")  # noqa: S608 - names are ours, values are quoted by the client (format_query_value)

    def newest(self, wanted: Wanted, limit: int) -> pl.DataFrame:
        """The newest of them, without their bytes."""
        order = "received_at DESC, topic, `partition`, offset DESC"
        return self._found(
            f"SELECT {', '.join(_SHORT)} FROM {self._table}_now WHERE {wanted.condition()} ORDER BY {order} LIMIT {limit}"  # noqa: S608 - names are ours, values are quoted by the client (format_query_value)
        )

    def at(self, topic: str, partition: int, offset: int) -> list[Letter]:
        """What lay there: more than one if clusters had topics of one name. The newest comes first."""
        place = f"topic = {format_query_value(topic)} AND `partition` = {partition} AND offset = {offset}"
        return self._letters(f"{place} ORDER BY version DESC LIMIT 20")

    def places(self, wanted: Wanted) -> pl.DataFrame:
        """All of them, in the order in which they are sent again, with what must be known before."""
        names = "cluster_id, stage, topic, `partition`, offset, `row`, family, detail, length(payload) AS n_bytes, replayed_at"
        order = "topic, `partition`, offset, `row`"
        return self._found(f"SELECT {names} FROM {self._table}_now WHERE {wanted.condition()} ORDER BY {order}")  # noqa: S608 - names are ours, values are quoted by the client (format_query_value)

    def chunks(self, places: pl.DataFrame) -> Iterator[list[Letter]]:
        """These with their bytes, in this order, a few at a time."""
        for piece in _pieces(places):
            yield self._letters(f"{_among(piece.rows(named=True))} ORDER BY offset, `row`")

    def mark(self, letters: Sequence[Letter], now: datetime) -> None:
        """Note that these, of one partition, were sent again."""
        at_ms = round(now.timestamp() * 1_000)
        names = [f"`{name}`" for name in DEAD_LETTERS.schema if name != "replayed_at"]
        places = _among([vars(letter) for letter in letters])
        self._do(
            lambda client: client.command(
                f"INSERT INTO {self._table} ({', '.join(names)}, replayed_at, version) "  # noqa: S608 - names are ours, values are quoted by the client (format_query_value)
                f"SELECT {', '.join(names)}, fromUnixTimestamp64Milli({at_ms}) AS sent_at, "
                f"greatest(version + 1, toUInt64({round(now.timestamp() * _MICROSECONDS)})) AS newer "
                f"FROM {self._table} FINAL WHERE is_deleted = 0 AND {places}",
                settings={"async_insert": 0} if "async_insert" in client.server_settings else {},
            )
        )

    def _letters(self, rest: str) -> list[Letter]:
        names = ", ".join("base64Encode(payload) AS payload64" if name == "payload" else f"`{name}`" for name in _COLUMNS)
        found = self._found(f"SELECT {names} FROM {self._table}_now WHERE {rest}")  # noqa: S608 - names are ours, values are quoted by the client (format_query_value)
        return [Letter(**_whole(row)) for row in found.iter_rows(named=True)]

    def _found(self, sql: str) -> pl.DataFrame:
        try:
            return self._store.query(sql)
        except Error as error:
            raise failure(error) from error

    def _do(self, ask: Callable[[Client], T]) -> T:
        try:
            return ask(self._store.client())
        except Error as error:
            self._store.close()
            raise failure(error) from error


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    return {**{name: row[name] for name in _COLUMNS if name != "payload"}, "payload": base64.b64decode(row["payload64"])}


def _pieces(places: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut by partition, by number and by bytes."""
    for of_partition in places.partition_by("cluster_id", "topic", "partition", maintain_order=True):
        begin = size = 0
        for at, n_bytes in enumerate(of_partition["n_bytes"].to_list()):
            if at > begin and (at - begin >= CHUNK_LETTERS or size + n_bytes > CHUNK_BYTES):
                yield of_partition[begin:at]
                begin, size = at, 0
            size += n_bytes
        yield of_partition[begin:]


def _among(places: Sequence[dict[str, Any]]) -> str:
    """These places of one partition, in SQL."""
    first = places[0]
    one = [f"{name} = {format_query_value(first[name])}" for name in ("cluster_id", "topic")]
    pairs = ", ".join(f"({place['offset']}, {place['row']})" for place in places)
    return " AND ".join(["site = ''", *one, f"`partition` = {first['partition']}", f"(offset, `row`) IN ({pairs})"])
