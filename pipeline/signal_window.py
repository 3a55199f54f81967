"""Events that signals look back at, as narrow as they get: there are some of every session that is open.

An event of a type has only the columns that the signals which read that type ask for. So the columns share room: what a click says of its element and what a
search says of its query stand in the same column. And most events say nothing of the kind: they stand in a frame of their own, without that room.

Frames:  LOOKED_BACK_AT and whatever stands beside -> the narrow one (without the columns of signals), the wide one (`text_0`.., `number_0`.. instead of them)
"""

from collections.abc import Mapping
from functools import cache

import polars as pl

from pipeline.checkout import is_one_of
from pipeline.definitions import BASE
from pipeline.events import event_schema
from pipeline.signals import SIGNALS

_LOOKED_BACK_AT = [signal for signal in SIGNALS if signal.look_back and signal.closing is None]
_CONTRACT = event_schema("clickstream")
_KINDS: Mapping[object, str] = {pl.String: "text", pl.Int32: "number", pl.Int64: "amount", pl.Float64: "measure"}
_DTYPES = {"text": pl.String, "number": pl.Int32, "amount": pl.Int64, "measure": pl.Float64}
_SAID = [*dict.fromkeys(name for signal in _LOOKED_BACK_AT for name in signal.columns if name not in BASE)]
"""Columns of the contract that may say something."""


def _told_by(name: str) -> tuple[str, ...]:
    """The event types that have this column."""
    asked = [signal.told_by.get(name, signal.reads) for signal in _LOOKED_BACK_AT if name in signal.columns]
    return tuple(dict.fromkeys(event_type for types in asked for event_type in types))


def _rooms() -> Mapping[str, str]:
    """Column -> room: two columns have the same if they have a dtype in common and no event type."""
    found: dict[str, str] = {}
    for name in _SAID:
        kind = _KINDS[_CONTRACT[name]]
        taken = {found[other] for other in found if set(_told_by(other)) & set(_told_by(name))}
        found[name] = next(room for room in (f"{kind}_{number}" for number in range(len(_SAID))) if room not in taken)
    return found


ROOMS = _rooms()
_ALL = sorted(set(ROOMS.values()))


def window_schemas(schema: pl.Schema) -> tuple[pl.Schema, pl.Schema]:
    """Of the narrow and the wide frame of events of this schema."""
    always = {name: dtype for name, dtype in schema.items() if name not in ROOMS}
    return pl.Schema(always), pl.Schema({**always, **{room: _DTYPES[room.partition("_")[0]] for room in _ALL}})


def narrow(events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The events that say nothing beside what all do, and those that do, in the room there is for it."""
    says = events.select(pl.any_horizontal(pl.col(name).is_not_null() for name in ROOMS)).to_series()
    always = [name for name in events.columns if name not in ROOMS]
    return events.select(always).filter(~says), events.filter(says).select(*always, *_packed())


def whole(window: tuple[pl.DataFrame, pl.DataFrame], schema: pl.Schema) -> pl.DataFrame:
    """The events as they were."""
    plain, wide = window
    absent = [pl.lit(None, dtype=_CONTRACT[name]).alias(name) for name in ROOMS]
    frames = [plain.with_columns(absent).select(schema.names())] if plain.height or not wide.height else []
    return pl.concat([*frames, *([wide.with_columns(_unpacked()).select(schema.names())] if wide.height else [])])


@cache
def _packed() -> tuple[pl.Expr, ...]:
    return tuple(pl.coalesce(*(_said(name, name) for name in ROOMS if ROOMS[name] == room)).alias(room) for room in _ALL)


@cache
def _unpacked() -> tuple[pl.Expr, ...]:
    return tuple(_said(name, room).alias(name) for name, room in ROOMS.items())


def _said(name: str, column: str) -> pl.Expr:
    """What stands in a column, of events of the types that have what is called so."""
    return pl.when(is_one_of(_told_by(name))).then(column)
