"""A batch over which a step failed, as a file: where no command folds it again, and the broker may have forgotten it by the time that somebody looks.

A JSON object a record: partition, offset, record_at_ms, key and value in base64, null where there is none. Only its owner can read the file.
"""

import base64
import json
import os
import tempfile
from collections.abc import Iterable

from agents.runs import Run


def dumped(stage: str, runs: Iterable[Run]) -> str:
    """Write it down; returns the sentence that says where."""
    try:
        handle, path = tempfile.mkstemp(prefix=f"ebbtide-{stage}-", suffix=".ndjson")
        with os.fdopen(handle, "w", encoding="ascii") as file:
            for run in runs:
                for record in zip(run.offsets(), run.record_times_ms(), run.keys(), run.values(), strict=True):
                    file.write(_line(run.tp.partition, *record))
    except OSError as error:
        return f"Its records could not be written to a file: {error}."
    return f"Its records are kept in {path}, one a line, keys and values in base64."


def _line(partition: int, offset: int, record_at_ms: int, key: bytes | None, value: bytes | None) -> str:
    said = {"partition": partition, "offset": offset, "record_at_ms": record_at_ms, "key": _text(key), "value": _text(value)}
    return json.dumps(said) + "\n"


def _text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()
