"""Examples of signals as rows for the oracle and as frames for the engine."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from pipeline.definitions import Happening
from pipeline.hashing import hash64
from pipeline.ordering import ties
from pipeline.signal_engine import FIRED, WINDOW
from tests.builders import MONDAY
from tests.signal_oracle import ms

Row = dict[str, Any]

WHICH = pl.Schema({"site": pl.String, "visitor_id": pl.String, "event_id": pl.String})
EVENTS = pl.Schema({**WINDOW, **WHICH})
"""WINDOW, and which event it is: the engine passes that on."""
SAID = pl.Schema({**FIRED, **WHICH})
"""FIRED, and at which event."""


def rows_of(events: Iterable[Happening]) -> list[Row]:
    """Events of an example as one visitor's (if it does not say whose they are): ids `e0`, `e1`.. by place, and `event_at`."""
    standing = {"partition": 0, "site": "shop", "visitor_id": "ann", "page": "/cart"}
    return [
        {**standing, "event_id": f"e{place}", "event_at": MONDAY + timedelta(milliseconds=at_ms(event)), **event}
        for place, event in enumerate(events)
    ]


def at_ms(event: Mapping[str, Any]) -> int:
    """When it happens in its example."""
    return int(event["at_ms"])


def window_of(rows: Iterable[Row]) -> pl.DataFrame:
    """The rows as the engine sees them, in the same order. Frames: -> EVENTS"""
    given = list(rows)
    said = pl.DataFrame(
        [
            {"event_ms": ms(row), **{name: row.get(name) for name in EVENTS if name not in ("visitor_key", "tie", "event_ms")}}
            for row in given
        ],
        schema={name: dtype for name, dtype in EVENTS.items() if name not in ("visitor_key", "tie")},
    )
    sequence = pl.Series("sequence", [row.get("sequence") for row in given], pl.Int64)
    return said.with_columns(
        pl.Series("visitor_key", hash64(said["site"], said["visitor_id"]), pl.UInt64),
        ties(sequence, hash64(said["event_id"])),
    ).select(EVENTS.names())


def in_order(rows: Iterable[Row]) -> list[Row]:
    """By time, then by what decides between events of the same millisecond."""
    given = list(rows)
    order = window_of(given).with_row_index("place").sort("event_ms", "tie")["place"]
    return [given[place] for place in order]
