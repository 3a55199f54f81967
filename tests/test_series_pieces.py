"""Many series are kept in pieces of which an interval changes few, and come back as they were."""

import numpy as np
import pytest

from pipeline.many_baselines import made
from pipeline.rate_series import SERIES, Interval, judged
from pipeline.series_pieces import FEW, cut, groups, put, same


def aged(n, rng):
    """Series of which everything is known."""
    its = made(SERIES, n)
    for array in its.values():
        array[...] = (rng.random(array.shape) * 9 + 1).astype(array.dtype)
    its["at"][...] = np.arange(100, 112)
    its["raised_ms"][...] = -1
    return its


@pytest.mark.parametrize("n", [0, 3, FEW])
def test_what_is_kept_comes_back(n):
    its = aged(n, np.random.default_rng(1))
    back = made(SERIES, n)
    for group in groups(n).values():
        put(back, group, cut(its, group))

    assert all(np.array_equal(its[name], back[name]) and its[name].dtype == back[name].dtype for name in SERIES)


def test_every_part_of_many_series_stands_in_one_group():
    its = made(SERIES, FEW)
    for group in groups(FEW).values():
        for name, part in group:
            its[name][..., part] = 7 if its[name].ndim > 1 else its[name]
    whole = {name for group in groups(FEW).values() for name, _ in group}

    assert whole == set(SERIES)
    assert all((array == 7).all() for array in its.values() if array.ndim > 1 and array.dtype != np.bool_)


def test_an_interval_changes_few_groups():
    before = aged(FEW, np.random.default_rng(2))
    its = {name: array.copy() for name, array in before.items()}
    rows = np.arange(FEW)
    judged(
        its, rows, np.full(FEW, 40.0), np.full(FEW, 400.0), Interval(112, 300_000, is_bound=True, history_ms=0, lasting_ms=10**9)
    )

    changed = {name for name, group in groups(FEW).items() if not same(its, before, group)}
    assert "now" in changed
    assert len(changed) < 12
    assert len(groups(FEW)) > 40
