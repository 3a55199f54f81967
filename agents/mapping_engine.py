"""The parent's end of the process in which mappings run: ask in SQL, get frames."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl
import pyarrow as pa

from agents import mapping_process

PATIENCE_S = 5.0
"""How long the process may take to end by itself."""
LONGEST = 1_000
"""Characters of what the engine says that are kept."""
_AROUND = re.compile(r"^(?:Streaming query failed: )?Code: \d+\. DB::Exception: |\s*\([A-Z_]+\)\s*$|[.:] In scope .*$", re.DOTALL)
TOLD_BYTES = 4_000
"""How much of what it printed is shown when it dies."""

Seen = Callable[[int, int], None]
"""Hears how many bytes were read, and of how many; 0: the engine does not know."""


class QueryFailed(RuntimeError):
    """The engine refused a query, and the message is what it said."""

    def __init__(self, said: str) -> None:
        """Keep the engine's words, once, without the query they are about."""
        super().__init__(_AROUND.sub("", said)[:LONGEST])


class MappingEngine:
    """Embedded ClickHouse in a child process whose working directory is the data folder. One query at a time."""

    def __init__(self, folder: Path) -> None:
        """Start it. It ends with the block, and with this process whatever ends it."""
        self.folder = folder
        self._scratch = tempfile.TemporaryDirectory(prefix="ebbtide-")
        self.scratch = Path(self._scratch.name)
        """A folder of its own, gone at the end."""
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process runs
        self._process = subprocess.Popen(  # noqa: S603 - the command is ours
            [sys.executable, "-P", str(Path(mapping_process.__file__)), str(self.scratch / "engine")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            cwd=folder,
            start_new_session=True,  # Ctrl-C reaches us, and we end it
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout

    def __enter__(self) -> Self:
        """Use it for a block."""
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        """End the process and forget all it held."""
        with suppress(BrokenPipeError):
            self._requests.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()
        self._printed.close()
        self._scratch.cleanup()

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """All rows of a small answer. Raises: QueryFailed."""
        return [
            {name: value.decode(errors="replace") if isinstance(value, bytes) else value for name, value in row.items()}
            for batch in self.batches(sql)
            for row in batch.to_dicts()
        ]

    def batches(self, sql: str, *, rows: int = 50_000, seen: Seen | None = None) -> Iterator[pl.DataFrame]:
        """Rows as the engine gives them, in batches of about so many; strings are Binary, for they may hold any bytes.

        Raises: QueryFailed
        """
        try:
            self._requests.write(json.dumps({"sql": sql, "rows": rows}).encode() + b"\n")
            self._requests.flush()
            self._await_verdict(seen)
            with pa.ipc.open_stream(self._answers) as stream:
                for batch in stream:
                    if batch.num_rows:
                        yield _frame(batch)
            self._await_verdict(None)
        except (BrokenPipeError, pa.ArrowInvalid, OSError) as error:
            raise QueryFailed(self._last_words()) from error

    def _await_verdict(self, seen: Seen | None) -> None:
        while True:
            line = self._answers.readline()
            if not line:
                raise QueryFailed(self._last_words())
            told = json.loads(line)
            if "read" in told:
                if seen is not None:
                    seen(told["read"], told["of"])
            elif told["error"] is None:
                return
            else:
                raise QueryFailed(told["error"])

    def _last_words(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_S)
        size = os.fstat(self._printed.fileno()).st_size
        said = os.pread(self._printed.fileno(), TOLD_BYTES, max(0, size - TOLD_BYTES)).decode(errors="replace").strip()
        return said or f"the engine's process ended without a word, code {self._process.returncode}"


def _frame(batch: pa.RecordBatch) -> pl.DataFrame:
    frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)
    return frame
