"""A Faust app as we run it: with our settings, in the event loop that is there, and a crash inside of it is a defect."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import faust

from agents.defects import end_process
from agents.runs import RunScheduling


def faust_settings() -> dict[str, Any]:
    """Return the settings of `faust.App` our transport needs (agents.transport); give topics `schema=RunSchema()` and `acks=False`."""
    return {
        "ConsumerScheduler": RunScheduling,
        "store": "memory://",
        "value_serializer": "raw",
        "datadir": Path(tempfile.gettempdir()) / f"ebbtide-faust-{os.getuid()}",  # Faust makes empty folders at every start
        "broker_session_timeout": 10.0,
        "broker_heartbeat_interval": 3.0,
        "broker_commit_interval": 60.0,  # wakes for nothing: there is nothing to commit
        "stream_buffer_maxsize": 64,  # it counts runs; agents only hand over, so it is next to empty
        "stream_wait_empty": False,
        "stream_recovery_delay": 0.0,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_enabled": False,
    }


@contextlib.asynccontextmanager
async def running(app: faust.App, *, on_crash: Callable[[BaseException], object] = end_process) -> AsyncIterator[faust.App]:
    """Run a Faust app in this event loop, without Faust's command line; leave the block to stop it.

    The block is entered at once: Faust starts its tasks only when the first assignment was taken over, and that waits for the
    broker. A crash inside of Faust is a defect, and ends the process unless `on_crash` does something else.
    """

    async def start_and_watch() -> None:
        try:
            await app.start()
            await app.wait()  # for the stop, or a crash
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            on_crash(error)
        else:
            if app.crashed:
                on_crash(app.crash_reason or RuntimeError("Faust crashed and gave no reason"))

    watching = asyncio.create_task(start_and_watch(), name="faust")
    try:
        yield app
    finally:
        await app.stop()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
