"""Decoding ahead: what comes next is decoded in a second thread while the fold works on what came before.

The two share nothing: a batch is bytes in, a frame out. What was decoded ahead is used only for the very runs it was made of.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

import polars as pl

from agents.runs import Run
from pipeline.decode import Decoded, Records


class Decoding:
    """Decodes runs, once each."""

    def __init__(self, decode: Callable[[Records], Decoded]) -> None:
        """Take what decodes records."""
        self._decode = decode
        self._ahead: deque[tuple[Sequence[Run], Decoded]] = deque()
        self._lock = Lock()

    def prepare(self, runs: Sequence[Run]) -> None:
        """Decode of these what is not decoded yet. In one thread; `decoded` may be called in another meanwhile."""
        with self._lock:
            known = {id(run) for stretch, _ in self._ahead for run in stretch}
        rest = [run for run in runs if id(run) not in known]
        if rest:
            found = self._decode(as_records(rest))
            with self._lock:
                self._ahead.append((rest, found))

    def decoded(self, runs: Sequence[Run]) -> Decoded:
        """Events and rejects of all records of the runs, one run after the other. What was prepared before them is forgotten."""
        found: list[Decoded] = []
        n = 0
        with self._lock:
            while self._ahead and n < len(runs):
                stretch, of_it = self._ahead.popleft()
                if _begins_with(runs[n:], stretch):
                    found.append(of_it)
                    n += len(stretch)
        if n < len(runs):
            found.append(self._decode(as_records(runs[n:])))
        if len(found) == 1:
            return found[0]
        events, rejects = pl.concat([each.events for each in found]), pl.concat([each.rejects for each in found])
        heads = tuple(head for each in found for head in each.heads)
        return Decoded(events, rejects, sum(each.n_slow for each in found), heads)


def _begins_with(runs: Sequence[Run], others: Sequence[Run]) -> bool:
    """Whether these are the same objects: runs are compared record by record otherwise."""
    return len(others) <= len(runs) and all(run is other for run, other in zip(runs, others, strict=False))


def as_records(runs: Sequence[Run]) -> Records:
    """All records of the runs, one run after the other."""
    record_at_ms: list[int] = []
    keys: list[bytes | None] = []
    values: list[bytes | None] = []
    for run in runs:  # never a loop over records: this runs before every step
        record_at_ms += run.record_times_ms()
        keys += run.keys()
        values += run.values()
    return Records(*places(runs), record_at_ms, keys, values)


def places(runs: Iterable[Run]) -> tuple[list[int], list[int]]:
    """Partition and offset of every record."""
    partitions: list[int] = []
    offsets: list[int] = []
    for run in runs:
        partitions += [run.tp.partition] * len(run)
        offsets += run.offsets()
    return partitions, offsets
