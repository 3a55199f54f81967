"""Decoding ahead: what comes next is decoded in a second thread while the fold works on what came before.

The two share nothing: a batch is bytes in, a frame out. What was decoded ahead is used only for the very runs it was made of.
"""

from collections.abc import Callable, Iterable, Sequence

import polars as pl

from agents.runs import Run
from pipeline.decode import Decoded, Records


class Decoding:
    """Decodes runs, once each."""

    def __init__(self, decode: Callable[[Records], Decoded]) -> None:
        """Take what decodes records."""
        self._decode = decode
        self._ahead: tuple[Sequence[Run], Decoded] | None = None

    def prepare(self, runs: Sequence[Run]) -> None:
        """Decode what will be asked for next, most likely. In any thread, while `decoded` is not called."""
        self._ahead = (runs, self._decode(as_records(runs))) if runs else None

    def decoded(self, runs: Sequence[Run]) -> Decoded:
        """Events and rejects of all records of the runs, one run after the other."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or not _begins_with(runs, ahead[0]):
            return self._decode(as_records(runs))
        prepared, found = ahead
        if len(prepared) == len(runs):
            return found
        rest = self._decode(as_records(runs[len(prepared) :]))
        events, rejects = pl.concat([found.events, rest.events]), pl.concat([found.rejects, rest.rejects])
        return Decoded(events, rejects, found.n_slow + rest.n_slow)


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
