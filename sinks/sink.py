"""What a writer needs of a place that rows go to."""

from collections.abc import Callable
from typing import Protocol

import pyarrow as pa


class Sink(Protocol):
    """A place for rows of tables, for one thread. `sinks.clickhouse.ClickHouse` is the one that users run."""

    def write(self, table: str, rows: pa.Table, *, token: str) -> None:
        """Write rows, or raise `failures.WriteFailed`; under a token that was there before nothing is written."""

    def close(self) -> None:
        """Let go; a later write opens it again."""


OpenSink = Callable[[], Sink]
