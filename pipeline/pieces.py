"""What a state offers to be kept: pieces that never change, each under a name that no other content ever has.

So a checkpoint writes the pieces whose names are new, and whoever keeps them drops those that are not named any more. What does change, such
as which rows of a run are alive, is a new piece under a new name.

A name is of one state and what becomes of it; of a state that was made anew it says nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import polars as pl


@dataclass(frozen=True)
class Piece:
    """A part of what is remembered of one partition."""

    name: str
    """Words and numbers, with dots between them."""
    frame: Callable[[], pl.DataFrame]
    """Makes it: for whoever has not kept it yet."""


def below(name: str, pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces of a part of the state, under names of the whole."""
    return (replace(piece, name=f"{name}.{piece.name}") for piece in pieces)


def within(name: str, frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The pieces of a part of the state, under its own names; in their order."""
    return {full.removeprefix(f"{name}."): frame for full, frame in frames.items() if full.startswith(f"{name}.")}
