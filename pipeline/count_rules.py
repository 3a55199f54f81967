"""What every fold is told of its counts: the length of an interval, and what they are split by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

DIMENSIONS = ("device", "country", "acquisition_channel")
"""Columns that a count may be split by."""


@dataclass(frozen=True)
class Cut:
    """How counts are cut."""

    interval: timedelta
    dimensions: tuple[str, ...]


@dataclass(frozen=True)
class CountedFor:
    """How counts are cut, and how long after their interval they are corrected."""

    cut: Cut
    memory: timedelta
    waits: Mapping[str, timedelta] = field(default_factory=dict)
    """Expectation -> how much longer those of it are: until a wait can have been decided."""


def checked(interval: timedelta, dimensions: tuple[str, ...]) -> None:
    """Raises: ValueError on an interval that does not divide a day, or something that no count can be split by."""
    if interval < timedelta(milliseconds=1) or timedelta(days=1) % interval:
        message = f"interval must divide a day, which {interval} does not"
        raise ValueError(message)
    if unknown := set(dimensions) - set(DIMENSIONS):
        message = f"dimensions: {', '.join(sorted(unknown))} is none of {', '.join(DIMENSIONS)}"
        raise ValueError(message)
