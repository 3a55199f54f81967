"""The child process in which mappings run: one process has one path of the embedded engine, and its working directory is the data folder.

Started by path and not as a module, with `-P`: nothing that lies in the data folder is ever imported. A request is a line of JSON on standard input:
`{"sql": ..., "rows": N}`. The answer on standard output is any number of lines `{"read": bytes, "of": bytes}`, then a line
`{"error": ...}`, or `{"error": null}`, an Arrow IPC stream in batches of about N rows, and such a line again: a query may fail half-way.
"""

import json
import os
import queue
import sys
import threading
import time
from typing import Any, BinaryIO

import chdb
import pyarrow as pa

PROGRESS_S = 0.2
"""How often it says how far it has read, at most."""
SETTINGS = (
    "max_query_size = 16777216",  # one query holds every mapping; these count before a query's own settings are read
    "max_ast_elements = 1000000",
    "max_expanded_ast_elements = 1000000",
    "output_format_arrow_string_as_string = 0",  # a string of ClickHouse holds any bytes
)
"""Of the session."""


def main() -> None:
    """Answer requests until standard input ends, which comes with the end of the parent, whatever ended it."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever the engine prints is no answer
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=hear, args=(requests,), daemon=True).start()
    while True:
        request = json.loads(requests.get())
        answer(sys.argv[1], request["sql"], request["rows"], answers)


def hear(requests: "queue.SimpleQueue[bytes]") -> None:
    """Take requests while the engine is busy, and end the process when no more can come: nobody waits for the answer."""
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)


def answer(engine: str, sql: str, rows: int, answers: BinaryIO) -> None:
    """Run one query. A connection that has failed once gives left-over rows to the next query, so each has its own."""
    connection = chdb.connect(engine)
    connection.query(f"SET {', '.join(SETTINGS)}")
    progress = Progress(answers)
    connection.set_progress_callback(progress)
    try:
        batches = arrow(connection, sql, rows)
        first = next(batches, None)
    except Exception as error:  # noqa: BLE001 - the engine raises RuntimeError and its own, and the parent is told in any case
        progress.end()
        say(answers, {"error": str(error).strip()})
        connection.close()
        return
    progress.end()
    say(answers, {"error": None})
    failed = None
    with pa.ipc.new_stream(answers, batches.schema if first is None else first.schema) as stream:
        try:
            while first is not None:
                stream.write_batch(first)
                first = next(batches, None)
        except chdb.ChdbError as error:
            failed = str(error).strip()
    say(answers, {"error": failed})
    connection.close()


def arrow(connection: Any, sql: str, rows: int) -> Any:
    """Give the rows of a query as they come; of what cannot stream (EXPLAIN, DESCRIBE), as a whole."""
    if sql.lstrip().upper().startswith(("DESCRIBE", "EXPLAIN")):
        return pa.ipc.open_file(pa.py_buffer(connection.query(sql, "Arrow").bytes())).read_all().to_reader()
    return connection.send_query(sql, "Arrow").record_batch(rows)


def say(answers: BinaryIO, line: dict[str, object]) -> None:
    """Write one line of the answer."""
    answers.write(json.dumps(line).encode() + b"\n")
    answers.flush()


class Progress:
    """How far a query has read, told until its first rows are there: from then on the rows say it."""

    def __init__(self, answers: BinaryIO) -> None:
        """Tell it on this stream."""
        self._answers = answers
        self._lock = threading.Lock()
        self._told_at = time.monotonic()
        self._ended = False

    def __call__(self, seen: dict[str, int]) -> None:
        """Hear it from the engine, in any thread."""
        with self._lock:
            if self._ended or time.monotonic() - self._told_at < PROGRESS_S:
                return
            self._told_at = time.monotonic()
            say(self._answers, {"read": seen["read_bytes"], "of": seen["total_bytes_to_read"]})

    def end(self) -> None:
        """Say nothing more: what follows on the stream is no line."""
        with self._lock:
            self._ended = True


if __name__ == "__main__":
    main()
