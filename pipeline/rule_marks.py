"""By which rules what is remembered was told.

What is remembered knows when it changes next, by the rules that there were. At other rules it must be told once more, or what they add would not be due
where nothing happens any more.

Cases:   kept by a version that said nothing -> other rules
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.calendars import Calendars
from pipeline.pieces import Piece


def fingerprint(rules: Any) -> str:
    """Another one for rules by which something would be told otherwise. `rules`: a dataclass with `calendars` and `store_events`."""
    others = replace(rules, calendars=Calendars(), store_events=False)
    return blake2b(f"{others!r} {rules.calendars.spelt()}".encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class RuleMarks:
    """Of each partition the fingerprint of the rules by which it was told."""

    of: Mapping[int, str] = field(default_factory=dict)

    def others(self, partitions: Iterable[int], now: str) -> NDArray[np.int32]:
        """Those of these partitions that were told by other rules."""
        return np.array([each for each in partitions if self.of.get(each) != now], dtype=np.int32)

    def told(self, partitions: Iterable[int], now: str) -> Self:
        """After these were told."""
        return replace(self, of={**self.of, **dict.fromkeys(partitions, now)})

    def pieces(self, partition: int) -> Iterator[Piece]:
        """What is remembered of one partition."""
        if partition in self.of:
            said = self.of[partition]
            yield Piece(said, lambda: pl.DataFrame({"partition": [partition], "rules": [said]}))

    def restored(self, frames: Mapping[str, pl.DataFrame]) -> Self:
        """With what pieces say."""
        return replace(self, of={**self.of, **{at: said for frame in frames.values() for at, said in frame.iter_rows()}})

    def without(self, partition: int) -> Self:
        """After one partition was forgotten."""
        return replace(self, of={at: said for at, said in self.of.items() if at != partition})
