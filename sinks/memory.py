"""A sink that keeps rows in memory, for tests: it replaces, retracts and refuses like ClickHouse, and fails when it is told to."""

from collections.abc import Callable, Iterable, Iterator

import polars as pl
import pyarrow as pa

from pipeline.frames import TABLES
from sinks.columns import conformed, sifted
from sinks.failures import Cure, WriteFailed


class MemorySink:
    """Implements sink.Sink."""

    def __init__(
        self, *, fails: Iterable[Exception | None] = (), refuses: Callable[[dict[str, object]], bool] = lambda _row: False
    ) -> None:
        """Fail at these writes, one after the other (None: not at this one), and refuse every row of which this is true."""
        self._fails: Iterator[Exception | None] = iter(fails)
        self._refuses = refuses
        self._written: dict[str, list[pl.DataFrame]] = {}
        self._tokens: set[tuple[str, str]] = set()
        self.trail: list[tuple[str, int, str]] = []
        """(table, rows, what became of them: written, known, failed, refused) of every write, in order."""
        self.is_open = False

    def write(self, table: str, rows: pa.Table | pl.DataFrame, *, token: str) -> None:
        """Keep rows. Raises: WriteFailed."""
        self.is_open = True
        rows = self._taken(table, rows)
        if failure := next(self._fails, None):
            self.trail.append((table, rows.num_rows, "failed"))
            raise failure
        found = pl.DataFrame(pl.from_arrow(rows))
        if any(self._refuses(row) for row in found.iter_rows(named=True)):
            self.trail.append((table, rows.num_rows, "refused"))
            raise WriteFailed("a row is not to be taken", cure=Cure.REFUSAL)
        is_known = (table, token) in self._tokens
        self.trail.append((table, rows.num_rows, "known" if is_known else "written"))
        if not is_known:
            self._tokens.add((table, token))
            self._written.setdefault(table, []).append(found)

    def close(self) -> None:
        """Note that it was let go."""
        self.is_open = False

    def now(self, table: str) -> pl.DataFrame:
        """What a `_now` view shows: the latest version of each row, without the retracted ones."""
        if table not in self._written:
            return TABLES[table].schema.to_frame()
        rows = pl.concat(self._written[table], how="diagonal").with_row_index("place").sort("version", "place")
        return rows.unique(TABLES[table].key, keep="last", maintain_order=True).filter(pl.col("is_deleted") == 0).drop("place")

    def _taken(self, table: str, rows: pa.Table | pl.DataFrame) -> pa.Table:
        try:
            good, bad = sifted(table, conformed(table, rows))
        except ValueError as error:
            self.trail.append((table, rows.shape[0], "refused"))
            raise WriteFailed(str(error), cure=Cure.REFUSAL) from error
        if bad.num_rows:
            self.trail.append((table, rows.shape[0], "refused"))
            raise WriteFailed("a time or number is missing that no row lacks", cure=Cure.REFUSAL)
        return good
