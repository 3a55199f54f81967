"""One Avro datum alone, by the book: what it holds, or in one line what is wrong with it.

It says what is right; `datums` is only fast. A datum is taken only if encoding what it holds again gives the same bytes, so that a datum has one
meaning and nothing in it was passed over.
"""

import io
from typing import Any, cast

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from pipeline.layouts import Layout

_LONGEST_DETAIL = 200


def plain_schema(places: Layout) -> dict[str, Any]:
    """Names and types alone: no documentation, no defaults, and times as numbers, for a time may be none of Python's."""
    fields = [{"name": place.name, "type": ["null", place.kind] if place.is_nullable else place.kind} for place in places]
    return cast("dict[str, Any]", parse_schema({"type": "record", "name": "datum", "fields": fields}))


def read(datum: bytes, schema: dict[str, Any], places: Layout) -> dict[str, Any] | str:
    """Field -> value of one datum, else what is wrong. `schema` is `plain_schema(places)`."""
    source = io.BytesIO(datum)
    try:
        record = cast("dict[str, Any]", schemaless_reader(source, schema, None))
        left = len(datum) - source.tell()
        if left:
            return f"{left} bytes follow the datum"
        again = io.BytesIO()
        schemaless_writer(again, schema, record)
    except Exception as error:  # noqa: BLE001 - it raises whatever comes to it: EOFError, IndexError, UnicodeDecodeError, ...
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_LONGEST_DETAIL]
    if again.getvalue() != datum:
        return "encoding it again gives other bytes"
    for place in places:
        value = record[place.name]
        if place.kind == "int" and value is not None and not -(1 << 31) <= value < 1 << 31:
            return f"{place.name} is an int of more than 32 bits"
    return record
