"""The command `ebbtide at-risk`: who may be slipping away right now, as the published topic says. Nothing is stored of it anywhere else."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import fastavro
from confluent_kafka.admin import AdminClient

from agents import terminal, topics
from agents.key_check import QUIET
from agents.log_reader import LogReader, Record
from agents.registry import Registry, UnknownSchema, open_registry
from agents.settings import Settings
from pipeline.money import spelt as money
from pipeline.risk import ENDED, LAPSED, LESS_LIKELY, MET
from pipeline.risk_tables import AT_RISK
from schemas.contracts import schema

COLUMNS = ("risk", "until (UTC)", "who", "what", "site", "step", "owner", "would lapse", "met", "money")


class NotPublished(LookupError):
    """There is no topic; the message says what makes it."""


Row = dict[str, Any]


class AtRisk:
    """Who is at risk, by what was heard of the topic so far."""

    def __init__(self, registry: Registry, site: str | None) -> None:
        """Nobody yet."""
        self._registry, self._site = registry, site
        self._newest: dict[bytes, Row] = {}

    def hear(self, record: Record) -> Row | None:
        """What this record changes; None: nothing, as it is an older one, or about nobody who was at risk."""
        row = _row(record.value, self._registry) if record.value is not None else None
        if row is None or self._site not in (None, row["site"]):
            return None
        key = record.key or b""
        known = self._newest.get(key)
        if known is not None and row["version"] <= known["version"]:
            return None
        self._newest[key] = row
        return row if _is_open(row) or (known is not None and _is_open(known)) else None

    @property
    def now(self) -> list[Row]:
        """The greatest risk first, of equals the most money."""
        rows = filter(_is_open, self._newest.values())
        return sorted(rows, key=lambda row: (-row["risk"], -(row["value_minor"] or 0), row["entity_id"]))


def _is_open(row: Row) -> bool:
    return not row["is_over"] and not row["is_deleted"]


@dataclass(frozen=True)
class Listening:
    """The topic, read up to its end."""

    known: AtRisk
    reader: LogReader
    topic: str
    ends: Mapping[int, int]

    def changes(self) -> Iterator[Row]:
        """What changes from here on: rows of who is at risk, or no longer; for ever. Raises: as `LogReader.follow`."""
        for record in self.reader.follow(self.topic, self.ends):
            if (row := self.known.hear(record)) is not None:
                yield row


@contextmanager
def listening(settings: Settings, site: str | None = None) -> Iterator[Listening]:
    """Read it. Raises: NotPublished; MISHAPS of agents.mishaps."""
    kafka = settings.kafka
    topic = topics.published(kafka.prefix, AT_RISK.name)
    there = topics.look_at(AdminClient({**kafka.librdkafka, "bootstrap.servers": kafka.bootstrap}, logger=QUIET)).partitions
    if topic not in there:
        message = f"there is no topic {topic}: a worker makes it where publish.tables names at_risk"
        raise NotPublished(message)
    known = AtRisk(open_registry(kafka.schema_registry_url, topics={AT_RISK.name: topic}), site)
    reader, ends = LogReader(kafka.bootstrap, kafka.librdkafka), {}
    try:
        for partition in range(there[topic]):
            bounds = reader.bounds(topic, partition)
            ends[partition] = reader.end(topic, partition, bounds.end)
            for record in reader.read(topic, partition, bounds.first, ends[partition] - 1):
                known.hear(record)
        yield Listening(known, reader, topic, ends)
    finally:
        reader.close()


def _row(value: bytes, registry: Registry) -> Row | None:
    """The row that a record is; None: somebody else's. A newer worker's has fields that ours does not know."""
    try:
        of, writer = registry.writer(int.from_bytes(value[1:5], "big"))
    except UnknownSchema:
        return None
    if value[:1] != b"\0" or of != AT_RISK.name:
        return None
    row = fastavro.schemaless_reader(io.BytesIO(value[5:]), dict(writer), dict(schema(AT_RISK.name)))
    assert isinstance(row, dict)
    return row


def show(rows: list[Row], limit: int) -> None:
    """Tell people: a table, or where that is too wide for the terminal a line each."""
    console = terminal.told()
    if not rows:
        console.print("nobody is at risk")
        return
    drawn = terminal.table(COLUMNS, map(_cells, rows[:limit]), numbers=(0, 9))
    if terminal.width(console, drawn) <= console.width:
        console.print(drawn)
    else:
        console.print("\n".join(map(line, rows[:limit])), markup=False)
    if len(rows) > limit:
        terminal.warning(f"{limit} of {len(rows):,}; more with --limit")


def line(row: Row) -> str:
    """A change, for people."""
    if not _is_open(row):
        return f"{_time(row['updated_at'])}  over  {_who(row)}, {_what(row)}: {_WHY.get(row['reasons'][0], row['reasons'][0])}"
    risk, until, who, what, *where, would_lapse, met, at_stake = _cells(row)
    said = [f"{who}, {what}", ", ".join(filter(None, where)), f"{would_lapse} by {until}", met, at_stake]
    return f"{_time(row['updated_at'])}  {risk:>4}  {'  '.join(filter(None, said))}"


_WHY = {
    MET: "it came",
    LAPSED: "it did not come in time",
    ENDED: "nothing is expected any more",
    LESS_LIKELY: "it is less likely now",
}


def _cells(row: Row) -> tuple[str, ...]:
    return (
        f"{row['risk']:.0%}",
        _time(row["would_lapse_at"]),
        _who(row),
        _what(row),
        row["site"],
        row["step"],
        row["owner"],
        row["expectation"],
        ", ".join(row["reasons"]),
        money(row["value_minor"], row["currency"]),
    )


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _who(row: Row) -> str:
    return str(row["customer_id"] or row["visitor_id"] or row["account_id"] or "somebody")


def _what(row: Row) -> str:
    return f"{row['kind']} {row['session_id'] if row['kind'] == 'session' else row['order_id']}"
