"""The sessions fold: does a step cost the same whether ten thousand sessions are open or a million, and what does one of them take?"""

import statistics

import pytest

from tests.benchmarks.report import MIB, show
from tests.benchmarks.runs_apart import measured, scaled

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

SMALL, ROUNDS, STEPS = 10_000, 3, 24
RATIO, BYTES = 0.7, 600
APART = ("ids", "rollups")
"""Kept an event, and a count; everything else is kept a session."""


def test_a_step_costs_the_same_with_a_million_open_sessions_as_with_ten_thousand():
    sizes = [SMALL, scaled(1_000_000, 100_000)]
    found = measured("open_sessions", sizes=sizes, rounds=ROUNDS, steps=STEPS, n_simulated=scaled(200_000, 40_000))

    rates = [[round_rates(steps, found["events"]) for steps in of_size] for of_size in found["took"]]
    ratios = [[large[at] / small[at] for small, large in zip(*rates, strict=True)] for at in range(2)]
    ratio, cpu_ratio = map(statistics.median, ratios)
    rows = []
    for n, of_size, rate, sweep_s in zip(sizes, found["took"], rates, found["sweep_s"], strict=True):
        milliseconds = [took[0] * 1_000 for steps in of_size for took in steps]
        wall, cpu = (statistics.median(one[at] for one in rate) for at in range(2))
        rows.append((f"{n:,}", wall, cpu, statistics.median(milliseconds), max(milliseconds), sweep_s * 1_000))
    show(
        f"sessions fold, {found['events']:,} events a step, {ROUNDS} rounds of {STEPS} steps by turns",
        ("open sessions", "events/s", "events/s of CPU", "median ms", "longest ms", "sweep ms"),
        rows,
        f"ratio {ratio:.2f} (aim: {RATIO}; rounds {', '.join(f'{one:.2f}' for one in ratios[0])}; of CPU time {cpu_ratio:.2f})",
    )
    kept, simulated = found["kept"], found["kept_simulated"]
    together = [sum(of[name][1] for name in of if name not in APART) for of in (kept, simulated)]
    show(
        f"state, Arrow bytes a session: {found['n_open']:,} open ones, and {found['n_simulated']:,} of the simulated shop",
        ("frame", "rows", "bytes", "in memory", "rows, simulated", "bytes, simulated"),
        [
            *((name, *kept[name], *simulated[name][:2]) for name in kept if name not in APART),
            ("together", "", together[0], sum(kept[name][2] for name in kept if name not in APART), "", together[1]),
            *((f"apart: {name}", *kept[name], *simulated[name][:2]) for name in APART),
        ],
        f"aim: {BYTES} of open ones; peak of the process with both states {found['peak_bytes_then'] / MIB:,.0f} MiB",
    )
    assert ratio >= RATIO
    assert together[0] <= BYTES


def round_rates(steps, events):
    """Events a second of wall and of CPU: of all steps together, for now and then one of them merges runs of state."""
    return [events * len(steps) / sum(took[at] for took in steps) for at in range(2)]
