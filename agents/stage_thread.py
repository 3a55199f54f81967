"""One thread for what a stage must wait or work for: decoding, folding, writing, flushing.

Not the event loop: there one stage that blocks would stop the hand-over to all others. Not a pool either: a pool's thread that
never returns would keep the process from ending.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class StageThread:
    """Does one thing at a time, in the order asked for."""

    def __init__(self, name: str) -> None:
        """Start the thread; it sleeps until asked, and ends with the process."""
        self._asked: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def do(self, work: Callable[..., T], *args: Any) -> T:
        """Do this in the thread. What was begun is finished there, also when the caller is cancelled."""
        done: Future[T] = Future()
        self._asked.put((done, lambda: work(*args)))
        return await asyncio.wrap_future(done)

    def close(self) -> None:
        """End the thread when it has done what was asked; does not wait."""
        self._asked.put(None)

    def _run(self) -> None:
        while self._do_next():
            pass

    def _do_next(self) -> bool:
        asked = self._asked.get()
        if asked is None:
            return False
        done, work = asked
        if done.set_running_or_notify_cancel():
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001 - a panic of a native library is no Exception; it is the caller's
                done.set_exception(error)
        return True
