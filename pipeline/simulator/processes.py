"""What companies go through step by step: an approval by one approver after the other, an onboarding.

Frames:  cases with `at_ms` -> entries of the family `order`, and what became of each
Cases:   every step in turn | a step refused, withdrawn, or never decided: nothing comes after it
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import DAY_MS, HOUR_MS
from pipeline.simulator.draws import Bools, Ints
from pipeline.simulator.entries import about, between, entries
from pipeline.simulator.happenings import strings
from pipeline.simulator.orders import NEVER_MS
from pipeline.simulator.quotes import DUE_MS

APPROVAL_STEPS = ("budget", "legal")
ONBOARDING_STEPS = ("documents", "credit_check", "contract", "access")
_GRANTED, _REJECTED, _WITHDRAWN = 0.81, 0.07, 0.05
"""Of each step; the others are never decided."""
_SLOW = 0.1
"""Of the steps, those that are decided days after they are due."""
_STALLS = 0.06
"""Of each step of an onboarding: it is the last that anybody hears."""
_APPROVERS = 7


@dataclass(frozen=True)
class Process:
    """What became of it; a value a case."""

    blocks: list[pl.DataFrame]
    done_ms: Ints
    """When the last step was granted or completed; NEVER_MS: never."""
    is_slow: Bools
    """A step came late or not at all."""
    last_step: pl.Series
    """The step that was the last to begin."""
    ended_ms: Ints
    outcome: pl.Series


def approvals(rng: np.random.Generator, at_ms: Ints, n_steps: Ints) -> Process:
    """Approval chains of one step or two."""
    n = len(at_ms)
    goes_on, now_ms = np.ones(n, dtype=bool), at_ms + between(rng, n, 500, 60_000)
    is_slow, last_step, fate = np.zeros(n, dtype=bool), np.zeros(n, dtype=np.int64), np.full(n, 3)
    blocks = []
    for step, name in enumerate(APPROVAL_STEPS):
        here = np.flatnonzero(goes_on & (n_steps > step))
        m = len(here)
        approver = strings([f"u-{number}" for number in range(_APPROVERS)], rng.integers(0, _APPROVERS, m))
        asked_ms = now_ms[here]
        slow = rng.random(m) < _SLOW
        takes_ms = np.where(
            slow, between(rng, m, 3 * DAY_MS, 8 * DAY_MS), np.minimum(about(rng, m, 5 * HOUR_MS, 0.9), DUE_MS - HOUR_MS)
        )
        decided_ms = asked_ms + takes_ms
        mood = rng.random(m)
        kind = np.searchsorted(np.cumsum((_GRANTED, _REJECTED, _WITHDRAWN)), mood, side="right")
        blocks.append(
            entries("order", here, "approval_requested", asked_ms, step=name, assignee_id=approver, due_at=asked_ms + DUE_MS)
        )
        for which, event_type in enumerate(("approval_granted", "approval_rejected", "approval_withdrawn")):
            some = np.flatnonzero(kind == which)
            blocks.append(entries("order", here[some], event_type, decided_ms[some], step=name, assignee_id=approver.gather(some)))
        fate[here], last_step[here] = kind, step
        is_slow[here] |= slow | (kind == 3)
        now_ms[here] = np.where(kind == 3, asked_ms + DUE_MS, decided_ms + between(rng, m, 1_000, 5_000))
        goes_on[here] = kind == 0
    outcome = strings(["granted", "rejected", "withdrawn", "undecided"], fate)
    return Process(blocks, np.where(goes_on, now_ms, NEVER_MS), is_slow, strings(APPROVAL_STEPS, last_step), now_ms, outcome)


def onboardings(rng: np.random.Generator, at_ms: Ints) -> Process:
    """Onboardings until everything is set up, or nothing more is heard."""
    n = len(at_ms)
    everyone = np.arange(n)
    goes_on, now_ms = np.ones(n, dtype=bool), at_ms + between(rng, n, 500, 5_000)
    last_step = np.zeros(n, dtype=np.int64)
    # A copy: the array goes on.
    blocks = [entries("order", everyone, "onboarding_started", now_ms.copy(), due_at=now_ms + 5 * DAY_MS)]
    for step, name in enumerate(ONBOARDING_STEPS):
        goes_on &= rng.random(n) >= _STALLS
        here = np.flatnonzero(goes_on)
        now_ms[here] += np.minimum(about(rng, len(here), 8 * HOUR_MS, 0.9), 4 * DAY_MS) + 60_000
        blocks.append(entries("order", here, "onboarding_step_completed", now_ms[here], step=name))
        last_step[here] = min(step + 1, len(ONBOARDING_STEPS) - 1)
    here = np.flatnonzero(goes_on)
    now_ms[here] += between(rng, len(here), 1_000, 60_000)
    blocks.append(entries("order", here, "onboarding_completed", now_ms[here]))
    outcome = strings(_stalled_or("completed"), goes_on.astype(np.int64))
    ended_ms = np.where(goes_on, now_ms, now_ms + 5 * DAY_MS)
    return Process(blocks, np.where(goes_on, now_ms, NEVER_MS), ~goes_on, strings(ONBOARDING_STEPS, last_step), ended_ms, outcome)


def _stalled_or(done: str) -> Sequence[str]:
    return ("stalled", done)
