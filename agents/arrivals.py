"""Runs on their way from the consumer's thread to Faust: the one place both touch."""

import threading
from collections.abc import Collection

from faust.types import TP

from agents.runs import Run


class Arrivals:
    """What has been fetched and not been taken yet, per partition, with its bytes. Safe to use from both threads."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._runs: dict[TP, Run] = {}
        self.taken = threading.Event()
        """Set whenever something was taken: the consumer's thread waits for room on it."""

    def put(self, runs: dict[TP, Run]) -> None:
        """Add what was fetched; a run joins the one that is waiting, since it was fetched next."""
        with self._lock:
            for tp, run in runs.items():
                waiting = self._runs.get(tp)
                if waiting is None:
                    self._runs[tp] = run
                else:
                    waiting.join(run)

    def take(self, wanted: Collection[TP]) -> dict[TP, Run]:
        """Take everything of the wanted partitions; the rest stays, for Faust drops what it did not ask for."""
        with self._lock:
            taken = {tp: self._runs.pop(tp) for tp in [tp for tp in self._runs if tp in wanted]}
        if taken:
            self.taken.set()
        return taken

    def forget(self, tps: Collection[TP]) -> None:
        """Throw away what waits of these partitions: it was sought away from, or is not ours any more."""
        with self._lock:
            for tp in tps:
                self._runs.pop(tp, None)

    def larger_than(self, size: float) -> set[TP]:
        """Partitions of which more than `size` bytes are waiting."""
        with self._lock:
            return {tp for tp, run in self._runs.items() if run.size > size}
