"""Ids of events, gathered for longer than the horizon: memory of the process by id, and after they are forgotten."""

import gc
import os
from pathlib import Path

import numpy as np

from pipeline.event_ids import EventIds
from tests.benchmarks.runs_apart import say, told

STEP, HORIZON_MS = 20_000, 3_600_000


def resident() -> int:
    """Bytes that the process holds now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """A steady stream: `n` ids an hour, for three hours."""
    n = told()["n"]
    dice, ids, partition = np.random.default_rng(1), EventIds(), np.zeros(STEP, np.int32)
    before, most, most_bytes, held = resident(), 0, 0, []
    for step in range(3 * n // STEP):
        now_ms = step * STEP * HORIZON_MS // n
        at = np.full(STEP, now_ms, np.int64)
        high, low = (dice.integers(0, 1 << 63, STEP, dtype=np.uint64) for _ in range(2))
        assert ids.fresh(partition, high, low, at, at - HORIZON_MS).all()
        ids = ids.put(partition, high, low, at, {0: now_ms - HORIZON_MS})
        if step % 30 == 29:  # the fold sweeps every ten minutes of event time
            ids = ids.swept({0: now_ms - HORIZON_MS})
        if len(ids) > most:
            most, most_bytes = len(ids), resident() - before
        held.append(len(ids))
    full = len(ids), resident() - before
    ids = ids.swept({0: 10 * HORIZON_MS})
    say(
        most=most,
        most_bytes=most_bytes,
        last=full[0],
        last_bytes=full[1],
        ids_bytes=28,
        left=len(ids),
        left_bytes=resident() - before,
    )


if __name__ == "__main__":
    main()
