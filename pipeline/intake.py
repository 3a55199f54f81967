"""Orders, deliveries and tickets on their way in: the same events, under keys of ours.

Frames:  event_schema(family) + POSITION -> passed.travelling(family), LINKS, TYPES
Time:    the watermark goes with the rows; nothing waits here
Cases:   which events were applied, and what became of each, says the fold behind it
         which types a site sends -> every partition of `people` is told, so that all judge alike what a shop cannot have left out; once a day, and again after a restart
Rejects: none (what cannot be used was rejected before)
Source:  DESIGN: every key but that of the clickstream is made by us
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Self

import polars as pl

from pipeline.awaited_types import SEEN, noticed, telling
from pipeline.fold import Step
from pipeline.frames import FATES, PASSED, REFUSED
from pipeline.keyed_rows import KeyedRows
from pipeline.keys import case_keys, case_links, contact_keys, person_links
from pipeline.passed import COMMERCE, FORWARDED, LINK, PEOPLE, TYPES, Passed, travelling
from pipeline.pieces import Piece
from pipeline.watermark import advanced

TOLD_DAYS = 62
"""How many days it is remembered what was told of them: as old as an event can be, and as far as a wait looks back from there."""


@dataclass(frozen=True)
class Told:
    """What others were told already. Nothing depends on it, so no checkpoint keeps it. Implements fold.State."""

    seen: KeyedRows = field(default_factory=lambda: KeyedRows(SEEN, "seen_key"))
    n_open: int = 0

    @property
    def n_bytes(self) -> int:
        """Memory, about."""
        return self.seen.n_bytes

    def pieces(self, partition: int) -> Iterator[Piece]:  # noqa: ARG002 - as a fold's state
        """None."""
        return iter(())

    def restored(self, partition: int, frames: Mapping[str, pl.DataFrame]) -> Self:  # noqa: ARG002 - as above
        """With nothing of this partition."""
        return self.without(partition)

    def without(self, partition: int) -> Self:
        """After one partition was forgotten."""
        return replace(self, seen=self.seen.kept(lambda rows: (rows["partition"] != partition).to_numpy()))

    def noticed(self, events: pl.DataFrame) -> tuple[Self, pl.DataFrame]:
        """Which types these events are of: what of it is news, and the state after it was told. Frames: -> SEEN."""
        seen, new = noticed(self.seen, events.with_columns(pl.col("event_at").to_physical().alias("event_ms")))
        if new.height:
            since = int(new["day"].max()) - TOLD_DAYS  # type: ignore[arg-type]  # a number
            seen = seen.kept(lambda rows: (rows["day"] >= since).to_numpy())
        return replace(self, seen=seen), new


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

    def empty(self) -> Told:
        """Nothing was told."""
        return Told()

    def step(self, state: Told, batch: pl.DataFrame, watermarks: pl.DataFrame) -> Step[Told]:
        """Give every event its key."""
        _, after = advanced(batch, watermarks, self.allowed_lateness)
        counted = batch.group_by("partition", maintain_order=True).agg(pl.len().cast(pl.Int64).alias("n"))
        fates = counted.select("partition", pl.lit(PASSED).alias("fate"), "n", pl.lit(0, pl.Int64).alias("n_late"))
        told, new = state.noticed(batch)
        passed = (Passed(PEOPLE, TYPES, telling(new)), *self._passed(batch)) if batch.height else ()
        return Step(told, {}, pl.DataFrame(schema=REFUSED), fates.match_to_schema(FATES), after, passed)

    def told_again(self, state: Told, partition: int, said: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:  # noqa: ARG002 - as a fold
        """Nothing: what was rejected is read again."""
        return {}

    def passed_again(
        self,
        state: Told,  # noqa: ARG002 - as a fold
        partition: int,  # noqa: ARG002 - as above
        said: Mapping[str, pl.DataFrame],  # noqa: ARG002 - as above
        gone: Mapping[str, pl.DataFrame],  # noqa: ARG002 - as above
    ) -> tuple[Passed, ...]:
        """Nothing: who has heard it knows by the offsets."""
        return ()

    def _passed(self, events: pl.DataFrame) -> Iterator[Passed]:
        if COMMERCE in self.outputs:
            yield Passed(COMMERCE, self.family, self._keyed(events, case_keys(events)))
            yield Passed(COMMERCE, LINK, case_links(events, self.family))
        else:
            yield Passed(PEOPLE, self.family, self._keyed(events, contact_keys(events)))
        yield Passed(PEOPLE, LINK, person_links(events, self.family))

    def _keyed(self, events: pl.DataFrame, key: pl.Series) -> pl.DataFrame:
        origin = (
            pl.lit(self.topic).alias("origin_topic"),
            pl.col("partition").alias("origin_partition"),
            pl.col("offset").alias("origin_offset"),
        )
        return events.with_columns(key, *origin).select(
            "partition", *(name for name in travelling(self.family) if name not in FORWARDED)
        )
