"""What happens on a defect: the process ends, at once.

Nothing needs a clean stop, for the manifest is the commit. The gentle ways lose events: an exception that leaves a Faust
agent loses its event and the agent goes on, `app.crash` commits first, `SystemExit` in an agent hangs for ever.
"""

import asyncio
import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Awaitable
from typing import NoReturn, TypeVar

from agents import logs

log = logging.getLogger(__name__)

EXIT_DEFECT = 70
"""Exit code after a defect (EX_SOFTWARE)."""
EXIT_DATA = 65
"""Exit code when the events are to blame (EX_DATAERR): an input that has turned to rubbish."""

T = TypeVar("T")


def end_process(error: BaseException, code: int = EXIT_DEFECT) -> NoReturn:
    """Show the error and end the process: no handler, no `finally` and no commit on the way."""
    try:
        with contextlib.suppress(OSError, ValueError):  # a broken pipe, closed
            _show(error)
        for stream in (sys.stdout, sys.__stderr__):
            with contextlib.suppress(AttributeError, OSError, ValueError):  # there may be none at all
                stream.flush()  # type: ignore[union-attr]  # None raises AttributeError
    finally:
        os._exit(code)  # in any case: the worker must not stand there and do nothing


def _show(error: BaseException) -> None:
    """On standard error, in the form of the log."""
    if logs.in_json():
        told = (type(error), error, error.__traceback__)
        record = log.makeRecord(log.name, logging.CRITICAL, __file__, 0, "a defect ends the process: %s", (error,), told)
        print(logs.JsonLines().format(record), file=sys.__stderr__)
    else:
        traceback.print_exception(error, file=sys.__stderr__)


async def or_end(work: Awaitable[T]) -> T:
    """Await work whose failure is a defect."""
    try:
        return await work
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of a native library is no Exception
        end_process(error)
