"""Logging of a command that runs for long: to standard error, a line each, for people or for programs.

Levels mean something: INFO is what happens in the life of a worker, WARNING needs a look when there is time, ERROR needs somebody to
act. What a line is about stands beside its text: `extra=about(stage=..., topic=..., partition=..., epoch=...)`.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Literal

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
FIELDS = ("stage", "topic", "partition", "epoch", "table", "channel")
"""What a line may be about."""

Format = Literal["text", "json"]

_CHATTY = ("faust", "mode", "aiokafka", "clickhouse_connect", "httpx2", "asyncio")
"""What they have to say below a warning helps nobody who runs this."""


def about(**fields: object) -> dict[str, object]:
    """What a line is about, for `extra`; only what is known."""
    assert fields.keys() <= set(FIELDS), f"{fields.keys() - set(FIELDS)}: not one of {FIELDS}"
    return {name: value for name, value in fields.items() if value is not None}


class JsonLines(logging.Formatter):
    """A JSON object a line: at, level, logger, message, what it is about, and the traceback of an error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = {"at": at, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False, default=str)


def begin(*, quiet: bool = False, fmt: Format = "text") -> None:
    """Log from now on; `quiet`: only what is worth interrupting a view for."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if fmt == "json" else logging.Formatter(FORMAT))
    logging.basicConfig(handlers=[handler], level=logging.ERROR if quiet else logging.INFO, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR if quiet else logging.WARNING)


def in_json() -> bool:
    """Whether the log is one of programs."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)
