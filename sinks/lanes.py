"""What of one table is on its way to ClickHouse: rows as they came, cut into batches, and a batch into parts where it does not pass whole."""

import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from sinks.batching import Gathered
from sinks.columns import conformed, sifted, unknown


@dataclass(frozen=True)
class Put:
    """Rows that came together, and whom to tell when they are written."""

    rows: pa.Table
    size: int
    came: float
    done: Callable[[], None]


@dataclass
class Batch:
    """What is written at once; it stays together until it is."""

    puts: list[Put]
    parts: deque[tuple[str, pa.Table]] | None = None
    """What is left of it to be written, (token, rows), in order; None: nothing was tried yet."""
    refused: dict[tuple[int | str, str], tuple[str, list[pa.Table]]] = field(default_factory=dict)
    """What was wrong and the columns -> the first reason, and the rows."""
    open: int = 1
    """The writing, and refused rows that are not safe yet."""

    def unknown(self, table: str) -> str:
        """What of it this version does not know (columns.unknown)."""
        return next(filter(None, (unknown(table, put.rows) for put in self.puts)), "")

    def whole(self, table: str) -> deque[tuple[str, pa.Table]]:
        """It as one part, without the rows that ClickHouse must not take; those are refused."""
        taken = []
        for put in self.puts:
            try:
                good, bad = sifted(table, conformed(table, put.rows))
            except ValueError as error:
                self.refuse(put.rows, str(error))
                continue
            if bad.num_rows:
                self.refuse(bad, "a time or number is missing that no row lacks")
            if good.num_rows:
                taken.append(good)
        # Rows that came without a column get null there, which is the same to ClickHouse.
        return deque([(uuid.uuid4().hex, pa.concat_tables(taken, promote_options="default"))] if taken else [])

    def halve(self) -> None:
        """Write what is next in two parts."""
        assert self.parts, "nothing is left to be written"
        token, rows = self.parts.popleft()
        half = rows.num_rows // 2
        self.parts.extendleft(((f"{token}b", rows.slice(half)), (f"{token}a", rows.slice(0, half))))

    def refuse(self, rows: pa.Table, reason: str, code: int | None = None) -> None:
        """Note rows that are not taken."""
        alike = (reason if code is None else code, str(rows.schema.remove_metadata()))  # an engine's reason names the row
        self.refused.setdefault(alike, (reason, []))[1].append(rows)


@dataclass
class Lane:
    """What of one table is on its way; order is kept within it."""

    table: str
    waiting: deque[Put] = field(default_factory=deque)
    gathered: Gathered = field(default_factory=Gathered)
    batch: Batch | None = None
    failures: int = 0
    not_before: float = 0.0
    taken: pa.Table | None = None
    """One row that the table took: written again it changes nothing, and shows whether the table takes rows at all."""

    @property
    def busy(self) -> bool:
        """Whether there is anything to write."""
        return self.batch is not None or bool(self.waiting)
