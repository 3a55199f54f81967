"""Orders, deliveries and tickets on their way in: the same events, under keys of ours.

Frames:  event_schema(family) + POSITION -> passed.travelling(family), LINKS
Time:    the watermark goes with the rows; nothing waits here
Cases:   it remembers nothing: which events were applied, and what became of each, says the fold behind it
Rejects: none (what cannot be used was rejected before)
Source:  DESIGN: every key but that of the clickstream is made by us
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from pipeline.fold import Step
from pipeline.frames import FATES, PASSED, REFUSED
from pipeline.keys import case_keys, case_links, person_keys, person_links
from pipeline.passed import COMMERCE, LINK, PEOPLE, Passed, travelling
from pipeline.pieces import Piece
from pipeline.watermark import advanced


@dataclass(frozen=True)
class Nothing:
    """What a stage remembers that remembers nothing. Implements fold.State."""

    n_open: int = 0
    n_bytes: int = 0

    def pieces(self, partition: int) -> Iterator[Piece]:  # noqa: ARG002 - as a fold's state
        """None."""
        return iter(())

    def restored(self, partition: int, frames: Mapping[str, pl.DataFrame]) -> "Nothing":  # noqa: ARG002 - as above
        """Still nothing."""
        return self

    def without(self, partition: int) -> "Nothing":  # noqa: ARG002 - as above
        """Still nothing."""
        return self


@dataclass(frozen=True)
class IntakeFold:
    """One family in, `commerce` and `people` out."""

    family: str
    topic: str
    """Where its records lie: it goes with them."""
    allowed_lateness: timedelta = timedelta(minutes=10)
    tables: tuple[str, ...] = field(default=(), init=False)

    @property
    def name(self) -> str:
        """Name of the stage, for ever."""
        return f"intake-{self.family}"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Where its rows go: what becomes of an order is judged by order, and whose it is by person."""
        return (PEOPLE,) if self.family == "ticket" else (COMMERCE, PEOPLE)

    def empty(self) -> Nothing:
        """Nothing."""
        return Nothing()

    def step(self, state: Nothing, batch: pl.DataFrame, watermarks: pl.DataFrame) -> Step[Nothing]:
        """Give every event its key."""
        _, after = advanced(batch, watermarks, self.allowed_lateness)
        counted = batch.group_by("partition", maintain_order=True).agg(pl.len().cast(pl.Int64).alias("n"))
        fates = counted.select("partition", pl.lit(PASSED).alias("fate"), "n", pl.lit(0, pl.Int64).alias("n_late"))
        passed = tuple(self._passed(batch)) if batch.height else ()
        return Step(state, {}, pl.DataFrame(schema=REFUSED), fates.match_to_schema(FATES), after, passed)

    def told_again(self, state: Nothing, partition: int, said: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:  # noqa: ARG002 - as a fold
        """Nothing: what was rejected is read again."""
        return {}

    def _passed(self, events: pl.DataFrame) -> Iterator[Passed]:
        if COMMERCE in self.outputs:
            yield Passed(COMMERCE, self.family, self._keyed(events, case_keys(events)))
            yield Passed(COMMERCE, LINK, case_links(events, self.family))
        else:
            yield Passed(PEOPLE, self.family, self._keyed(events, person_keys(events)))
        yield Passed(PEOPLE, LINK, person_links(events, self.family))

    def _keyed(self, events: pl.DataFrame, key: pl.Series) -> pl.DataFrame:
        origin = (
            pl.lit(self.topic).alias("origin_topic"),
            pl.col("partition").alias("origin_partition"),
            pl.col("offset").alias("origin_offset"),
        )
        return events.with_columns(key, *origin).select("partition", *travelling(self.family))
