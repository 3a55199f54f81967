"""All there is to say of some people at a time: rows of every table, and when something about them changes by itself.

Frames:  PersonLog, SEEN -> PeopleTold
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from pipeline.groups import Millis
from pipeline.journeys_rules import JourneysRules
from pipeline.person_log import PersonLog

TOLD = ("contacts", "answers", "signals", "outcomes", "customers")


@dataclass(frozen=True)
class PeopleTold:
    """What there is to say of some people."""

    tables: dict[str, pl.DataFrame]
    """Table of TOLD -> its rows: some columns of frames.TABLES, and `partition`."""
    next_ms: Millis
    """Of each person the first time at or after now beyond which it changes by itself; NEVER: it does not."""


Tell = Callable[[PersonLog, pl.DataFrame, JourneysRules], PeopleTold]
"""Says everything. Frames: SEEN of the partitions."""
