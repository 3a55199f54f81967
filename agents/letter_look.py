"""What a dead letter holds, as far as it can be read, and what would become of it today."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from agents.letter_store import Letter
from pipeline import layouts, single_datums
from pipeline.decode import Bounds, Decoded, Records, decode
from pipeline.layouts import Layout, NotFlat
from pipeline.readings import HEADER
from schemas.contracts import FAMILIES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WIDTH = 16


@dataclass(frozen=True)
class Attempt:
    """A letter, read now."""

    fields: dict[str, Any]
    """What stands in it: field -> value, without nulls. Empty if it cannot be read."""
    problem: str
    """What is wrong with it now; '' if it would be taken."""


def attempt(letter: Letter, writers: Mapping[int, Mapping[str, Any]], bounds: Bounds) -> Attempt:
    """Read a letter again. `writers`: schema id -> the writer's schema, of its family."""
    if letter.family not in FAMILIES:
        return Attempt({}, "it is no event")
    rejects = decoded([letter], letter.family, writers, bounds).rejects
    reason = "" if rejects.is_empty() else f"{rejects['reason'][0]}: {rejects['detail'][0]}"
    return Attempt(_fields(letter.payload, writers), reason)


def decoded(letters: list[Letter], family: str, writers: Mapping[int, Mapping[str, Any]], bounds: Bounds) -> Decoded:
    """Letters of one family through the worker's own decoding; the offset of each is its place in the list."""
    records = Records(
        [0] * len(letters),
        list(range(len(letters))),
        [record_ms(letter) for letter in letters],
        [letter.key_bytes for letter in letters],
        [letter.payload for letter in letters],
    )
    return decode(records, family, writers, bounds)


def record_ms(letter: Letter) -> int:
    """Its record time, milliseconds since 1970 UTC; 0 if nobody knows."""
    return 0 if letter.received_at is None else (letter.received_at - _EPOCH) // timedelta(milliseconds=1)


def _fields(payload: bytes, writers: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    if len(payload) <= HEADER or payload[0] != 0:
        return {}
    schema = writers.get(int.from_bytes(payload[1:HEADER], "big"))
    try:
        places = layouts.layout(schema)
    except NotFlat:
        return {}
    found = single_datums.read(payload[HEADER:], single_datums.plain_schema(places), places)
    return {} if isinstance(found, str) else _shown(found, places)


def _shown(record: Mapping[str, Any], places: Layout) -> dict[str, Any]:
    """Times as times where a calendar has them; nulls left out."""
    shown = {}
    for place in places:
        value = record[place.name]
        if value is not None:
            shown[place.name] = _time(value) if place.is_time else value
    return shown


def _time(ms: int) -> datetime | int:
    try:
        return _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return ms


def hex_dump(octets: bytes, most: int) -> str:
    """The first bytes, in hex and as text beside it."""
    lines = []
    for begin in range(0, min(len(octets), most), WIDTH):
        line = octets[begin : begin + WIDTH]
        text = "".join(chr(octet) if 0x20 <= octet < 0x7F else "." for octet in line)
        lines.append(f"{begin:08x}  {line.hex(' '):<{3 * WIDTH}} {text}")
    if len(octets) > most:
        lines.append(f"... {len(octets) - most:,} bytes more; --json has them all")
    return "\n".join(lines)
