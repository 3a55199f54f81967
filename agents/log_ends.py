"""Where the log of each partition ends, as last heard from its broker."""

import time
from collections.abc import Callable, Collection, Mapping

from faust.types import TP

TRUSTED_S = 5.0
"""How long an end counts as known after it was heard: a broker that says nothing is not a log without events."""


class LogEnds:
    """End offsets with the moment they were heard. Written by the consumer's thread, read by any."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the clock (seconds, monotonic)."""
        self._clock = clock
        self._heard: dict[TP, tuple[int, float]] = {}

    def hear(self, ends: Mapping[TP, int]) -> None:
        """Note the offsets that the next records will get; what was told before something higher is old news."""
        now = self._clock()
        self._heard |= {tp: (max(end, self[tp] or 0), now) for tp, end in ends.items()}

    def forget(self, tps: Collection[TP]) -> None:
        """Know nothing of these any more."""
        self._heard = {tp: heard for tp, heard in self._heard.items() if tp not in tps}

    def __getitem__(self, tp: TP) -> int | None:
        """Offset the next record will get, however long ago it was heard; None when it never was."""
        heard = self._heard.get(tp)
        return None if heard is None else heard[0]

    def heard(self, tp: TP) -> tuple[int, float] | None:
        """Offset the next record will get, and how many seconds ago that was heard; None when it never was."""
        heard = self._heard.get(tp)
        return None if heard is None else (heard[0], max(0.0, self._clock() - heard[1]))

    def reached(self, tp: TP, position: int) -> bool:
        """Whether `position`, the last offset applied, is the last one there is."""
        heard = self._heard.get(tp)
        if heard is None:
            return False
        end, at = heard
        return position + 1 >= end and self._clock() - at <= TRUSTED_S
