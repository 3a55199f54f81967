"""Logging of a command that runs for long: to standard error, a line each."""

import logging
import sys

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_CHATTY = ("faust", "mode", "aiokafka", "clickhouse_connect", "httpx2", "asyncio")
"""What they have to say below a warning helps nobody who runs this."""


def begin(*, quiet: bool = False) -> None:
    """Log from now on; `quiet`: only what is worth interrupting a view for."""
    logging.basicConfig(format=FORMAT, stream=sys.stderr, level=logging.ERROR if quiet else logging.INFO, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR if quiet else logging.WARNING)
