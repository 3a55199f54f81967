"""Whether the worker lives, and whether it is at work.

*Healthy* looks at ticks: a client may send heartbeats long after a loop has stopped to turn. A stage that is taking over is not
looked at, for that takes as long as its state is large. *Ready* means that the group has given out the partitions, and that all of
ours have been taken over.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agents.app import Worker


@dataclass(frozen=True)
class Verdict:
    """Yes or no, and of each stage how it is."""

    ok: bool
    stages: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """It as JSON."""
        return {"ok": self.ok, "stages": self.stages}


def health(worker: Worker, stuck_after_s: float, clock: Callable[[], float] = time.monotonic) -> Verdict:
    """Whether every loop turns."""
    told, ok = {}, True
    for name, shell in worker.shells.items():
        age_s = clock() - shell.ticked_at
        is_stuck = bool(shell.positions()) and age_s > stuck_after_s
        ok &= not is_stuck
        told[name] = f"stands still for {age_s:.0f} s" if is_stuck else "turns" if shell.positions() else "has no partitions yet"
    return Verdict(ok, told)


def readiness(worker: Worker) -> Verdict:
    """Whether all that is ours is being worked on."""
    if not worker.has_begun:
        return Verdict(ok=False, stages=dict.fromkeys(worker.shells, "the group has not given out partitions yet"))
    assigned = worker.group.assignment()
    told, ok = {}, not worker.group.is_rebalancing
    for name, shell in worker.shells.items():
        ours = {tp for tp in assigned if tp.topic == shell.topic}
        taken = shell.positions().keys() & ours
        ok &= len(taken) == len(ours)
        told[name] = f"{len(taken)} of {len(ours)} partitions taken over"
    return Verdict(ok, told)
