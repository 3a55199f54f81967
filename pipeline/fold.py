"""What every fold takes and returns: state in, batch in, step out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import polars as pl

from pipeline.passed import Passed
from pipeline.pieces import Piece


class State(Protocol):
    """What a fold remembers; every row belongs to one input partition."""

    def pieces(self, partition: int) -> Iterator[Piece]:
        """All that is remembered of one partition. Names are of this state and what becomes of it."""
        ...

    def restored(self, partition: int, frames: Mapping[str, pl.DataFrame]) -> Self:
        """This state with one more partition, from the frames of all its pieces, by name and in their order."""
        ...

    def without(self, partition: int) -> Self:
        """This state after one partition was forgotten."""
        ...

    @property
    def n_open(self) -> int:
        """Entities that have not ended."""
        ...

    @property
    def n_bytes(self) -> int:
        """Memory it takes, about."""
        ...


S = TypeVar("S", bound=State)


@dataclass(frozen=True)
class Step(Generic[S]):
    """One step of a fold: the new state, and what to say."""

    state: S
    tables: dict[str, pl.DataFrame]
    """Table name -> rows to upsert: the columns of `frames.TABLES[name]` and `partition`."""
    rejects: pl.DataFrame
    """frames.REFUSED: events that were too late to be applied."""
    fates: pl.DataFrame
    """frames.FATES of the batch, a row a partition and fate."""
    watermarks: pl.DataFrame
    """frames.WATERMARKS after the batch."""
    passed: tuple[Passed, ...] = ()
    """Rows for stages behind this one."""
