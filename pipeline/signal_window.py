"""Events that signals look back at, as narrow as they get: there are some of every session that is open.

An event of a type has only the columns that the signals which read that type ask for. So the columns share room: what a click says of its element and what a
search says of its query stand in the same column. Most events say nothing of the kind: they stand in a frame of their own, without that room. And of some
types nothing matters but that they were there: of these only whose they were and when is kept.

Frames:  LOOKED_BACK_AT and whatever stands beside -> Window
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import polars as pl

from pipeline.checkout import is_one_of
from pipeline.definitions import BASE, OWN_BITS
from pipeline.events import event_schema
from pipeline.frames import Dtype
from pipeline.signals import SIGNALS

_LOOKED_BACK_AT = [signal for signal in SIGNALS if signal.look_back and signal.closing is None]
_CONTRACT = event_schema("clickstream")
_KINDS: Mapping[object, str] = {pl.String: "text", pl.Int32: "number", pl.Int64: "amount", pl.Float64: "measure"}
_DTYPES: Mapping[str, Dtype] = {"text": pl.String, "number": pl.Int32, "amount": pl.Int64, "measure": pl.Float64}
_SAID = [*dict.fromkeys(name for signal in _LOOKED_BACK_AT for name in signal.columns if name not in BASE)]
"""Columns of the contract that may say something."""


@dataclass(frozen=True)
class Window:
    """Events, each in the narrowest of these frames that has room for it."""

    marks: pl.DataFrame
    """Of types of which nothing matters but that they were there."""
    window: pl.DataFrame
    """Those that say no more than every event does."""
    wide: pl.DataFrame
    """Those that say more: `text_0`.., `number_0`.. and so on."""


def told_by(name: str) -> tuple[str, ...]:
    """The event types of which this column is kept."""
    asked = [signal.told_by.get(name, signal.reads) for signal in _LOOKED_BACK_AT if name in signal.columns]
    return tuple(dict.fromkeys(event_type for types in asked for event_type in types))


def _rooms() -> Mapping[str, str]:
    """Column -> room: two columns have the same if they have a dtype in common and no event type."""
    found: dict[str, str] = {}
    for name in _SAID:
        kind = _KINDS[_CONTRACT[name]]
        taken = {found[other] for other in found if set(told_by(other)) & set(told_by(name))}
        found[name] = next(room for room in (f"{kind}_{number}" for number in range(len(_SAID))) if room not in taken)
    return found


def _marks() -> tuple[str, ...]:
    """Event types that are nothing but marks to all signals that read them."""
    read = dict.fromkeys(event_type for signal in _LOOKED_BACK_AT for event_type in signal.reads)
    return tuple(each for each in read if all(each in signal.marks for signal in _LOOKED_BACK_AT if each in signal.reads))


ROOMS = _rooms()
MARKS = _marks()
_ALL = {room: _DTYPES[room.partition("_")[0]] for room in sorted(set(ROOMS.values()))}
_OF_MARKS = ("visitor_key", "partition", "event_ms", "tie", "event_type", "counted")
_COUNTER = pl.Schema({"counter": pl.UInt32})
"""Upper half of `tie`: the lower one is that of `event_key` (ordering.py)."""


def window_schemas(schema: pl.Schema) -> Mapping[str, pl.Schema]:
    """The frames of a Window of events of this schema."""
    narrow_ = {name: dtype for name, dtype in schema.items() if name not in ROOMS}
    if "event_key" in schema:
        narrow_ = {**{name: dtype for name, dtype in narrow_.items() if name != "tie"}, **_COUNTER}
    marks = {name: schema[name] for name in _OF_MARKS}
    return {"marks": pl.Schema(marks), "window": pl.Schema(narrow_), "wide": pl.Schema({**narrow_, **pl.Schema(_ALL)})}


def narrow(events: pl.DataFrame) -> Window:
    """The events in the narrowest frames that have room for them."""
    schemas = window_schemas(events.schema)
    if "event_key" in events.columns:
        events = events.with_columns((pl.col("tie") // _HALF).cast(pl.UInt32).alias("counter"))
    # A user's own signal may fire at any event, also where all others need a mark.
    is_mark = events.select(is_one_of(MARKS) & ((pl.col("counted") & int(OWN_BITS)) == 0)).to_series()
    others = events.filter(~is_mark).with_columns(_packed())
    says = others.select(pl.any_horizontal(pl.col(room).is_not_null() for room in _ALL)).to_series()
    return Window(
        events.filter(is_mark).select(schemas["marks"].names()),
        others.filter(~says).select(schemas["window"].names()),
        others.filter(says).select(schemas["wide"].names()),
    )


def whole(window: Window, schema: pl.Schema) -> pl.DataFrame:
    """The events as they were. Of marks only what matters of them; the rest is null."""
    tie = (pl.col("counter").cast(pl.UInt64) * _HALF + pl.col("event_key") % _HALF).alias("tie")
    found = [schema.to_frame()]
    for frame in (window.marks, window.window, window.wide):
        if frame.height:
            columns = [tie] if "counter" in frame.columns else []
            frame = frame.with_columns(*columns, *(_unpacked() if frame is window.wide else ()))  # noqa: PLW2901 - the same events
            absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.items() if name not in frame.columns]
            found.append(frame.with_columns(absent).select(schema.names()))
    return pl.concat(found)


_HALF = pl.lit(2**32, dtype=pl.UInt64)


@cache
def _packed() -> tuple[pl.Expr, ...]:
    return tuple(pl.coalesce(*(_said(name, name) for name in ROOMS if ROOMS[name] == room)).alias(room) for room in _ALL)


@cache
def _unpacked() -> tuple[pl.Expr, ...]:
    return tuple(_said(name, room).alias(name) for name, room in ROOMS.items())


def _said(name: str, column: str) -> pl.Expr:
    """What stands in a column, of events of the types that have what is called so."""
    return pl.when(is_one_of(told_by(name))).then(column)
