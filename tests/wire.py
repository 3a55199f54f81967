"""Events as they stand on a topic, written by fastavro alone, one by one: what the fast ways are held against."""

import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import fastavro

from pipeline.decode import Records
from schemas.contracts import FAMILIES, schema

SCHEMA_IDS = {family: number for number, family in enumerate(FAMILIES, start=1)}
WRITERS = {SCHEMA_IDS[family]: schema(family) for family in FAMILIES}


def event_of(example: Mapping[str, Any], family: str) -> dict[str, Any]:
    """An event out of JSON: times are ISO 8601 or epoch milliseconds, NaN is a word."""
    event = dict(example)
    for field in schema(family)["fields"]:
        plain = field["type"][1] if isinstance(field["type"], list) else field["type"]
        value = event.get(field["name"])
        if isinstance(value, str) and isinstance(plain, dict):
            event[field["name"]] = datetime.fromisoformat(value)
        if isinstance(value, str) and plain == "double":
            event[field["name"]] = float(value)
    return event


def loose(contract: Mapping[str, Any]) -> dict[str, Any]:
    """The contract of a writer who requires nothing, and writes times as he likes."""
    fields = [
        {"name": field["name"], "type": field["type"] if isinstance(field["type"], list) else ["null", field["type"]]}
        for field in contract["fields"]
    ]
    return {"type": "record", "name": "loose", "fields": fields}


def datum(event: Mapping[str, Any], contract: Mapping[str, Any]) -> bytes:
    """What an event is without its header."""
    file = io.BytesIO()
    fastavro.schemaless_writer(file, fastavro.parse_schema(dict(contract)), dict(event))
    return file.getvalue()


def framed(schema_id: int, body: bytes) -> bytes:
    """A Confluent frame."""
    return b"\0" + schema_id.to_bytes(4, "big") + body


def value(event: Mapping[str, Any], family: str) -> bytes:
    """An event as its newest contract writes it."""
    return framed(SCHEMA_IDS[family], datum(event, schema(family)))


def records(values: Iterable[bytes | None], record_at_ms: int | Iterable[int]) -> Records:
    """Records of one partition with these values, and keys that name their offset."""
    all_values = list(values)
    at_ms = [record_at_ms] * len(all_values) if isinstance(record_at_ms, int) else list(record_at_ms)
    offsets = range(100, 100 + len(all_values))
    return Records([3] * len(all_values), list(offsets), at_ms, [b"key-%d" % offset for offset in offsets], all_values)
