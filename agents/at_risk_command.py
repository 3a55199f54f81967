"""The command `ebbtide at-risk`: who may be slipping away right now, as the published topic says. Nothing is stored of it anywhere else."""

import io
from collections.abc import Iterator
from typing import Any

import fastavro
from confluent_kafka.admin import AdminClient

from agents import terminal, topics
from agents.key_check import QUIET
from agents.log_reader import LogReader, Record
from agents.registry import Registry, UnknownSchema, open_registry
from agents.settings import Settings
from pipeline.money import spelt as money
from pipeline.risk_tables import AT_RISK
from schemas.contracts import schema

COLUMNS = ("risk", "until (UTC)", "who", "what", "site", "step", "owner", "would lapse", "met", "money")


class NotPublished(LookupError):
    """There is no topic; the message says what makes it."""


def at_risk(settings: Settings, site: str | None = None) -> list[dict[str, Any]]:
    """Everybody who is at risk, the greatest risk first, of equals the most money. Raises: NotPublished; MISHAPS of agents.mishaps."""
    kafka = settings.kafka
    topic = topics.published(kafka.prefix, AT_RISK.name)
    there = topics.look_at(AdminClient({**kafka.librdkafka, "bootstrap.servers": kafka.bootstrap}, logger=QUIET)).partitions
    if topic not in there:
        message = f"there is no topic {topic}: a worker makes it where publish.tables names at_risk"
        raise NotPublished(message)
    registry = open_registry(kafka.schema_registry_url, topics={AT_RISK.name: topic})
    reader = LogReader(kafka.bootstrap, kafka.librdkafka)
    newest: dict[bytes, dict[str, Any]] = {}
    try:
        for record in _records(reader, topic, there[topic]):
            row = _row(record.value, registry) if record.value is not None else None
            key = record.key or b""
            if row is not None and row["version"] >= newest.get(key, {"version": 0})["version"]:
                newest[key] = row
    finally:
        reader.close()
    rows = [row for row in newest.values() if not row["is_over"] and not row["is_deleted"] and site in (None, row["site"])]
    return sorted(rows, key=lambda row: (-row["risk"], -(row["value_minor"] or 0), row["entity_id"]))


def _records(reader: LogReader, topic: str, n_partitions: int) -> Iterator[Record]:
    for partition in range(n_partitions):
        bounds = reader.bounds(topic, partition)
        yield from reader.read(topic, partition, bounds.first, reader.end(topic, partition, bounds.end) - 1)


def _row(value: bytes, registry: Registry) -> dict[str, Any] | None:
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


def show(rows: list[dict[str, Any]], limit: int) -> None:
    """Tell people."""
    if not rows:
        terminal.told().print("nobody is at risk")
        return
    cells = [
        (
            f"{row['risk']:.0%}",
            "" if row["would_lapse_at"] is None else f"{row['would_lapse_at']:%Y-%m-%d %H:%M}",
            row["customer_id"] or row["visitor_id"] or row["account_id"],
            f"{row['kind']} {row['session_id'] if row['kind'] == 'session' else row['order_id']}",
            row["site"],
            row["step"],
            row["owner"],
            row["expectation"],
            ", ".join(row["reasons"]),
            money(row["value_minor"], row["currency"]),
        )
        for row in rows[:limit]
    ]
    terminal.told().print(terminal.table(COLUMNS, cells, numbers=(0, 9)))
    if len(rows) > limit:
        terminal.warning(f"{limit} of {len(rows):,}; more with --limit")
