"""Signals: what do all of them cost against none, in time and in memory?"""

import pytest

from tests.benchmarks.report import show
from tests.benchmarks.runs_apart import SCALE, measured, scaled
from tests.benchmarks.test_bench_sessions import APART

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

RATIO, BYTES = 0.5, 600
NOTHING = (0, 0, 0)


def test_all_signals_take_at_most_as_long_as_the_rest_of_the_fold():
    n = scaled(1_000_000, 100_000)
    found = measured("signals_on", n=n, steps=24, n_simulated=scaled(400_000, 100_000))

    rows, ratios = [], {}
    for kind in ("open", "simulated"):
        rates = {
            name: [found["events"] * len(took) / sum(one[at] for one in took) for at in range(2)]
            for name, took in found[kind].items()
        }
        rows += [(f"{kind}, {name}", *rate, *(rate[at] / rates["none"][at] for at in range(2))) for name, rate in rates.items()]
        ratios[kind] = max(rates["all"][at] / rates["none"][at] for at in range(2))
    show(
        f"sessions fold with no signals, four and all, {found['events']:,} events a step, by turns; {n:,} open sessions, and the simulated shop",
        ("events, signals", "events/s", "events/s of CPU", "of none", "of CPU"),
        rows,
        f"aim: {RATIO} of none, of wall or of CPU; {found['n_fired']:,} signals had fired in the simulated shop",
    )
    kept = found["kept"]
    together = {name: sum(of[frame][1] for frame in of if frame not in APART) for name, of in kept.items()}
    show(
        "state, Arrow bytes an open session",
        ("frame", *kept),
        [
            *((frame, *(of.get(frame, NOTHING)[1] for of in kept.values())) for frame in kept["all"] if frame not in APART),
            ("together", *together.values()),
        ],
        f"aim: {BYTES}",
    )
    assert min(ratios.values()) >= RATIO
    if SCALE >= 1:  # a smaller state is hit more often: more to look back at a session
        assert together["all"] <= BYTES
