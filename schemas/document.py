"""The catalogue of events, schemas/README.md, out of the contracts: `python -m schemas.document [--check]`.

With `--check` nothing is written: it ends with 1 if the page is not what the contracts say.
"""

import sys
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from schemas.contracts import FAMILIES, PUBLISHED, Schema, event_types, local_registry, schema, versions

TOOLS = ("GA4", "Segment", "Snowplow", "Shopify", "AfterShip", "Zendesk", "OpenTelemetry")
"""Whose names the catalogue tells beside ours."""

_HEAD = """\
<!-- Generated from the .avsc files by `make docs`. -->
# Event catalogue

Four families of events, one Kafka topic each; and what Ebbtide publishes, for others to subscribe to (at the end).
A value is an Avro datum in the Confluent wire format: byte 0, four bytes of schema id (big-endian), the datum.
The same records are read from files as NDJSON, CSV, Parquet or Avro, with times as ISO 8601 or epoch milliseconds.
All times are UTC.

What holds for every contract of a family:
- records are flat: `string`, `int`, `long`, `double`, `boolean`, `timestamp-millis`, each plain or `["null", T]` with default null (marked `?`);
- a new version may only add nullable fields or widen a number, so old events stay readable for ever;
- `event_type` is a string with a closed list: an event of another type is kept apart as `unknown_type`, and can be replayed when the list has grown;
- money is in minor units with a `currency`; durations in milliseconds end in `_ms`;
- every id is unique within its `site`; `session_id` within site and visitor.

Examples, good and bad, are in `<family>/examples`; a bad one says the reason for which it is rejected.
"""


_PUBLISHED = """
## What is published

Rows of tables, each on the topic `PREFIX.TABLE`, where the settings say so (`[publish]`).
A record is the row as it stands in ClickHouse: a text that is not known is empty, a number or a time that is not known is null.
The key is the row's id as a JSON object, and all records of a key lie in one partition.
A row that changes is sent again: of two records with one key the one with the higher `version` counts.
After a crash what was said last is said again, so a reader takes a record as an upsert, and ignores a lower version.
`is_deleted` is 1 in a row that was retracted.
The topics of `alerts` and `at_risk` are compacted, so that who begins at their start knows all that is open; behind a record that is deleted, or no longer at risk, stands a tombstone.
A later version of a contract only adds fields with a default, or widens a number.
"""


def catalogue() -> str:
    """The whole page."""
    families = (line for family in FAMILIES for line in _family(family))
    return "\n".join([_HEAD, *_registry(), *families, _PUBLISHED, *(line for table in PUBLISHED for line in _published(table))])


def _registry() -> Iterable[str]:
    yield "## Schema ids\n\nWhere no Schema Registry is configured, a schema id means:\n"
    yield from _table(
        ("id", "family or published table", "version"),
        ((str(schema_id), family, str(version)) for schema_id, (family, version) in sorted(local_registry().items())),
    )


def _family(family: str) -> Iterable[str]:
    contract = schema(family)
    first = {field["name"]: number for number in reversed(versions(family)) for field in schema(family, number)["fields"]}
    yield f"\n## {family}\n\n{contract['doc']}\n\n### Fields of {family}\n"
    yield from _table(
        ("field", "type", "unit", "meaning", "since", "also known as"),
        (
            (
                f"`{field['name']}`",
                _type(field["type"]),
                field.get("unit", ""),
                field["doc"],
                f"v{first[field['name']]}",
                _aka(field),
            )
            for field in contract["fields"]
        ),
    )
    yield f"\n### Types of {family}\n"
    known = _types(contract)
    assert tuple(each["name"] for each in known) == event_types(family), "the catalogue and the checks read the same list"
    yield from _table(
        ("event_type", "meaning", "also known as"), ((f"`{each['name']}`", each["doc"], _aka(each)) for each in known)
    )


def _published(table: str) -> Iterable[str]:
    contract = schema(table)
    yield f"\n### {table}\n\n{contract['doc']}\n"
    fields = contract["fields"]
    yield from _table(
        ("field", "type", "unit", "meaning"),
        ((f"`{field['name']}`", _type(field["type"]), field.get("unit", ""), field["doc"]) for field in fields),
    )


def _types(contract: Schema) -> list[dict[str, Any]]:
    return next(field["event_types"] for field in contract["fields"] if "event_types" in field)


def _type(avro: Any) -> str:
    plain = avro[1] if isinstance(avro, list) else avro
    name = plain
    if isinstance(plain, dict):
        name = plain.get("logicalType") or f"array of {plain['items']}"
    return f"{name}?" if isinstance(avro, list) else name


def _aka(entry: Mapping[str, Any]) -> str:
    known = entry.get("aka", {})
    strange = set(known) - set(TOOLS)
    assert not strange, f"{entry['name']}: {sorted(strange)} are not among the tools of the catalogue"
    return "; ".join(f"{tool}: {known[tool]}" for tool in TOOLS if tool in known)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterable[str]:
    yield _row(head)
    yield _row(["---"] * len(head))
    yield from map(_row, rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` only compare."""
    path = Path(str(files(__package__) / "README.md"))
    page = catalogue() + "\n"
    if "--check" not in arguments:
        path.write_text(page, encoding="utf-8")
        return 0
    if path.exists() and path.read_text(encoding="utf-8") == page:
        return 0
    sys.stderr.write("schemas/README.md is not what the contracts say: `make docs` writes it again\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
