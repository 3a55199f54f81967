"""What an event is: the Avro contracts of the four families and of what Ebbtide publishes, their examples, and the schema ids that ship with it.

Everything is data of this package; nothing here knows of frames.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any, cast

FAMILIES = ("clickstream", "order", "delivery", "ticket")
"""Every event belongs to one of these; each has a Kafka topic of its own."""

PUBLISHED = ("signals", "outcomes", "alerts", "at_risk")
"""Tables that others can subscribe to, each on a topic of its own; their contracts are what the tables are (pipeline.published)."""

Schema = dict[str, Any]
"""A parsed .avsc. It is shared: nobody changes it."""


def versions(family: str) -> tuple[int, ...]:
    """Every version of a family's contract, ascending."""
    names = (path.name for path in (files(__package__) / family).iterdir())
    return tuple(sorted(int(name[1 : -len(".avsc")]) for name in names if name.startswith("v") and name.endswith(".avsc")))


@cache
def schema(family: str, version: int | None = None) -> Schema:
    """The contract of a family or of a published table, with its documentation; the newest version if none is said.

    Raises: KeyError if there is no such family or version
    """
    if family not in (*FAMILIES, *PUBLISHED):
        raise KeyError(family)
    known = versions(family)
    version = known[-1] if version is None else version
    if version not in known:
        message = f"{family} has no version {version}"
        raise KeyError(message)
    return cast("Schema", json.loads((files(__package__) / family / f"v{version}.avsc").read_text("utf-8")))


@cache
def event_types(family: str) -> tuple[str, ...]:
    """The closed list of what can happen in a family. It is no Avro enum, so that a new type does not break an old reader."""
    (field,) = (field for field in schema(family)["fields"] if field["name"] == "event_type")
    return tuple(known["name"] for known in field["event_types"])


@cache
def required(family: str) -> tuple[str, ...]:
    """Fields that every event of a family has: those that are not nullable."""
    return tuple(field["name"] for field in schema(family)["fields"] if not isinstance(field["type"], list))


def examples(family: str, *, valid: bool) -> dict[str, dict[str, Any]]:
    """Examples by name.

    A valid one is an event as JSON. An invalid one says the `reason` for which it is rejected and holds the `event`, or the bytes as `hex`;
    `record_at` is the Kafka record time, that of the event if none is said.
    """
    folder = files(__package__) / family / "examples" / ("valid" if valid else "invalid")
    found = sorted(folder.iterdir(), key=lambda path: path.name)
    return {path.name.removesuffix(".json"): json.loads(path.read_text("utf-8")) for path in found if path.name.endswith(".json")}


@cache
def local_registry() -> dict[int, tuple[str, int]]:
    """Schema id on the wire -> family or published table, and version, where no Schema Registry gives the ids. An id is for ever."""
    known = json.loads((files(__package__) / "registry.json").read_text("utf-8"))
    return {int(schema_id): (entry["family"], entry["version"]) for schema_id, entry in known.items()}
