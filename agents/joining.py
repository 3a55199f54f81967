"""Which of the records that arrived are the ones that come next.

A run says what it covers, `(after, last]`. It is taken only if that joins the position; so nothing that is dropped, repeated
or delayed on the way can matter.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from faust.types import TP

from agents.runs import Run


@dataclass(frozen=True)
class Joined:
    """What to fold, and what is missing."""

    runs: list[Run]
    """Only records after the positions, in order within a partition, no gap before any."""
    holes: frozenset[TP]
    """Partitions of which a run got lost on the way, and that must be sought."""


def joined(runs: Iterable[Run], positions: Mapping[TP, int], sought: Mapping[TP, int]) -> Joined:
    """Take from the runs what joins the positions.

    `positions`: the last offset applied of every partition that is ours. `sought`: how many seeks had been made after the last one
    that was for this partition; what was fetched before that has been asked for again already.

    Cases:  not ours -> dropped | applied already -> dropped | overlaps -> the rest of it | leaves a gap -> dropped, and a hole
    """
    at = dict(positions)
    taken: list[Run] = []
    holes: set[TP] = set()
    for run in runs:
        tp = run.tp
        position = at.get(tp)
        if position is None or run.last <= position:
            continue
        if run.after > position:
            if run.seeks >= sought.get(tp, 0):
                holes.add(tp)
            continue
        at[tp] = run.last
        taken.append(run if run.after == position else _rest(run, position))
    return Joined(taken, frozenset(holes))


def _rest(run: Run, position: int) -> Run:
    rest = Run(after=position, seeks=run.seeks)
    rest.add(run[bisect_right(run.offsets(), position) :])
    return rest
