"""How the datums of a writer's schema lie on the wire, if they are flat.

A schema comes from outside. An array of nulls can ask for any amount of memory, a recursive record for any depth of stack: only records of plain
fields are read, each of them alone or in a union after null.
"""

from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.events import event_schema
from pipeline.frames import TIME

KINDS = {"string", "int", "long", "double", "boolean"}
"""What a field may be on the wire."""

STRINGS = "strings"
"""What a field of our own may be as well: an array of strings."""

MILLIS = "timestamp-millis"

_READ_AS: dict[pl.DataType, set[str]] = {
    pl.String(): {"string"},
    pl.Int32(): {"int", "long"},
    pl.Int64(): {"int", "long"},
    pl.Float64(): {"int", "long", "double"},
    pl.Boolean(): {"boolean"},
    TIME: {"long"},
}
"""Dtype of the contract -> kinds that a writer may use for it: a later version may have widened a number."""


class NotFlat(ValueError):
    """A schema that is not read, and why."""


@dataclass(frozen=True)
class Place:
    """One field of a datum."""

    name: str
    kind: str
    """One of KINDS, or STRINGS."""
    is_nullable: bool
    """Its value follows the index of a union: 0 for null, 1 for a value."""
    is_time: bool
    """A long that counts milliseconds since 1970 UTC."""


Layout = tuple[Place, ...]
"""The fields of a datum, in the order in which they lie."""


def layout(schema: Any, *, is_ours: bool = False) -> Layout:
    """Lay out the datums of a writer's parsed schema; in one of ours there may be arrays of strings.

    Raises: NotFlat
    """
    if not isinstance(schema, dict) or schema.get("type") != "record" or not schema.get("fields"):
        raise NotFlat("the schema is not a record with fields")
    places = tuple(_place(field, is_ours=is_ours) for field in schema["fields"])
    if len({place.name for place in places}) < len(places):
        raise NotFlat("two fields have one name")
    return places


def fitting(schema: Any, family: str) -> Layout:
    """Lay out the datums of a writer's schema that is read as this family.

    Cases:  a column of the contract that the writer does not have, or the other way round -> fits
    Raises: NotFlat, also if a field has not the type of the contract
    """
    places = layout(schema)
    contract = event_schema(family)
    for place in places:
        dtype = contract.get(place.name)
        if dtype is not None and (place.kind not in _READ_AS[dtype] or place.is_time != (dtype == TIME)):
            message = f"field {place.name} is {MILLIS if place.is_time else place.kind}, and {dtype} in the contract"
            raise NotFlat(message)
    if not any(place.name in contract for place in places):
        message = f"it has no field of the family {family}"
        raise NotFlat(message)
    return places


def _place(field: Any, *, is_ours: bool) -> Place:
    if not isinstance(field, dict) or not isinstance(field.get("name"), str):
        raise NotFlat("a field has no name")
    kind, name = field.get("type"), field["name"]
    is_nullable = isinstance(kind, list)
    if isinstance(kind, list):
        if len(kind) != 2 or kind[0] != "null":  # ["string", "null"] lies otherwise on the wire
            message = f"field {name} is a union other than null and one type"
            raise NotFlat(message)
        kind = kind[1]
    logical = None
    if is_ours and kind == {"type": "array", "items": "string"}:
        return Place(name, STRINGS, is_nullable, is_time=False)
    if isinstance(kind, dict):
        logical, kind = kind.get("logicalType"), kind.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        message = f"field {name} is of a type that is not read"
        raise NotFlat(message)
    return Place(name, kind, is_nullable, is_time=kind == "long" and logical == MILLIS)
