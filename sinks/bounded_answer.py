"""What a query of the embedded engine finds, as long as it is not too long.

Asked in the ordinary way the engine makes its answer whole, out of sight of all its limits (a constant column of 1 kB and a million rows: 1 GB).
So it writes into a pipe, and we stop reading.
"""

import os
import threading
from typing import Any

CHUNK = 1 << 20


class TooLong(RuntimeError):
    """The answer is longer than it may be."""


def bounded(connection: Any, statement: str, kind: str, longest: int) -> tuple[bytes, Any]:
    """The answer to a SELECT in a format, and what the engine says of it; `statement` names no format.

    Raises:  TooLong; what the engine raises
    """
    reading, writing = os.pipe()
    pipe = _Pipe(reading, longest)
    try:
        told = connection.query(f"{statement} INTO OUTFILE '/dev/fd/{writing}' TRUNCATE FORMAT {kind}")
    finally:
        os.close(writing)
        answer = pipe.all()
    if answer is None:
        message = f"Limit for result exceeded: the answer is longer than {longest:,} bytes"
        raise TooLong(message)
    return answer, told


class _Pipe:
    """Reads in a thread of its own, for the engine waits until it is read."""

    def __init__(self, reading: int, longest: int) -> None:
        self._reading, self._longest = reading, longest
        self._answer = bytearray()
        self._thread = threading.Thread(target=self._read, name="http-answer-pipe", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while len(self._answer) <= self._longest and (chunk := os.read(self._reading, CHUNK)):
            self._answer += chunk
        os.close(self._reading)  # what is still written fails there, and ends the answer

    def all(self) -> bytes | None:
        """All that was written, now that the other end is closed; None: it was more than it may be."""
        self._thread.join()
        return None if len(self._answer) > self._longest else bytes(self._answer)
