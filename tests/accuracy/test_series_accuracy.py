"""How many of the anomalies of thirty series are found, at one false alarm in 1,000 rows, with one threshold for all of them.

A fresh seed every time, printed; `EBBTIDE_SEED` repeats one. Counted as usual are all rows outside anomalies, those of the beginning as well.
"""

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from tests.series import found, ours, thirty
from tests.simulated_shop import drawn_seed

FLOOR = 0.8
WINDOW = 200


def by_mean(values):
    """How many standard deviations from the mean of the last rows: what is often done."""
    there = np.nan_to_num(values)
    n = np.arange(len(there) + 1)
    begin = np.maximum(n[:-1] - WINDOW, 0)
    sums, squares = (np.concatenate(([0.0], np.cumsum(part))) for part in (there - there[0], (there - there[0]) ** 2))
    seen = np.maximum(n[:-1] - begin, 1)
    mean = (sums[:-1] - sums[begin]) / seen
    spread = np.sqrt(np.maximum((squares[:-1] - squares[begin]) / seen - mean**2, 0))
    return np.where(n[:-1] < 20, 0.0, np.abs(there - there[0] - mean) / (spread + 1e-6))


def test_anomalies_are_found_at_one_false_alarm_in_a_thousand_rows(capsys):
    seed = drawn_seed()
    series = thirty(seed)
    its = found(series, ours(series))
    plain = found(series, [by_mean(each.values) for each in series])
    drawn = Table(title=f"seed {seed}: {its.n_false} false alarms in {its.n_usual:,} usual rows, score above {its.threshold:.3f}")
    for name in ("series", "found", "false alarms", "found by mean of 200"):
        drawn.add_column(name)
    for kind, share in its.by_kind.items():
        drawn.add_row(kind, f"{share:.2f}", str(its.false_alarms[kind]), f"{plain.by_kind[kind]:.2f}")
    drawn.add_row("all", f"{its.share:.3f}", str(its.n_false), f"{plain.share:.3f}")
    with capsys.disabled():
        Console().print("", drawn)

    assert its.n_false <= its.n_usual / 1_000
    assert its.share >= FLOOR
    assert its.share > plain.share + 0.2
    assert its.threshold == pytest.approx(0.5, abs=0.06), "0.5 is what is reached once in 1,000 rows"
