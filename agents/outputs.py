"""Where a fold's rows go."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agents.checkpoints import Reading
from agents.dead_letter_topic import LetterBox


@dataclass(frozen=True)
class Outputs:
    """Where rows go."""

    topic: str
    partitions: int
    reader: Reading
    """Of what was said there."""
    letters: LetterBox
    """And records that could not be used."""
    passing: Mapping[str, int] = field(default_factory=dict)
    """Internal topic -> its partitions."""
    published: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Table that others subscribe to -> its topic and how many partitions that has."""
    schema_id: Callable[[str], int] = field(default=lambda _table: 0)
    """Under which id a table is written there. It may block."""
