"""Frames of the fold that depend on the journeys: events that signals read, what has fired, what was begun; each with what the fold wants to know of an event.

Frames:  SIFTED, LOOKED_BACK_AT, FIRED, ENDS -> the same with the part an event belongs to, the hash of its id and its steps
"""

from functools import cache

import polars as pl

from pipeline import frames
from pipeline.closings import ENDS
from pipeline.journey_map import JourneyMap
from pipeline.session_parts import PARTITION
from pipeline.signal_engine import EVIDENCE, LOOKED_BACK_AT, SIFTED


@cache
def event_columns(journeys: JourneyMap) -> pl.Schema:
    """Events that count for some signal: SIFTED, and what the fold wants to know of one that fires."""
    return frames.schema({**SIFTED, "partition": PARTITION, **_beside(journeys)})


@cache
def looked_back_at(journeys: JourneyMap) -> pl.Schema:
    """The same of events that signals look back at: the others are never kept."""
    return frames.schema({**LOOKED_BACK_AT, "partition": PARTITION, **_beside(journeys)})


@cache
def closings_schema(journeys: JourneyMap) -> pl.Schema:
    """What was begun in sessions, and may be left undone: ENDS, and what the fold wants to know of one that fires."""
    return frames.schema({"visitor_key": pl.UInt64, "partition": PARTITION, **ENDS, "page": pl.String, **_beside(journeys)})


@cache
def fired_schema(journeys: JourneyMap) -> pl.Schema:
    """Signals that have fired in sessions that are remembered."""
    return frames.schema(
        {
            "visitor_key": pl.UInt64,
            "partition": PARTITION,
            "signal": pl.Categorical(),
            "event_ms": pl.Int64,
            **EVIDENCE,
            "weight": pl.Float64,
            **_beside(journeys),
        }
    )


def _beside(journeys: JourneyMap) -> dict[str, frames.Dtype]:
    """Which part an event belongs to, the hash of its id, and its step in each journey."""
    event = {"part": pl.UInt64, "event_key": pl.UInt64, "event_low": pl.UInt64}
    return {**event, **{name: pl.Int16 for name, _ in journeys.columns()}}
