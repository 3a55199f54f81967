"""A share is judged by what came before it, and only where enough came."""

import numpy as np
import pytest

from pipeline.many_baselines import made
from pipeline.rate_series import NONE, SERIES, Interval, judged

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Line:
    """One series, hour by hour."""

    def __init__(self, *, lasting_ms=DAY_MS, is_bound=True):
        self.its = made(SERIES, 1)
        self.number = 0
        self.lasting_ms, self.is_bound = lasting_ms, is_bound

    def take(self, n, n_of):
        interval = Interval(self.number, HOUR_MS, self.is_bound, DAY_MS, self.lasting_ms)
        self.number += 1
        return judged(self.its, np.zeros(1, dtype=np.int64), np.array([float(n)]), np.array([float(n_of)]), interval)

    def usual(self, n_intervals, rate=0.1, n_of=300, seed=0):
        rng = np.random.default_rng(seed)
        for _ in range(n_intervals):
            found = self.take(rng.binomial(n_of, rate), n_of)
        return found


def test_nothing_is_claimed_of_a_series_that_is_seen_for_less_than_its_history():
    line = Line()
    line.usual(23)

    found = line.take(200, 300)

    assert not found.known[0]
    assert (found.p == 1).all()


def test_what_was_usual_is_no_surprise_and_twice_as_much_is():
    line = Line()
    assert line.usual(200).p.min() > 1e-3

    found = line.take(65, 300)

    assert found.p.min() < 1e-4
    assert 25 < found.expected[0, 0] < 35


@pytest.mark.parametrize(("rate", "hours_each"), [(0.3, 1), (0.04, 4), (0.005, 12)])
def test_a_baseline_learns_shares_that_chance_moves_little_and_of_what_is_rare_one_each_twelve_intervals(rate, hours_each):
    line = Line()
    line.usual(240, rate=rate, n_of=100)

    assert 0.7 * 228 / hours_each <= line.its["n_last"][0, 0] <= 1.1 * 228 / hours_each


def test_a_little_more_for_long_is_found_over_a_longer_stretch():
    line = Line()
    line.usual(600)
    for _ in range(12):
        found = line.take(43, 300)

    assert found.p[0, 2] < 1e-4 < found.p[0, 0]


def test_a_series_that_is_raised_learns_nothing():
    line = Line(lasting_ms=100 * DAY_MS)
    line.usual(100)
    for _ in range(60):
        found = line.take(60, 300)

    assert 25 < found.expected[0, 0] < 35
    assert found.p.min() < 1e-4


def test_what_was_raised_for_long_enough_is_usual():
    line = Line()
    line.usual(100)
    became = [bool(line.take(60, 300).became_usual[0]) for _ in range(40)]

    assert became.index(True) in range(22, 28)
    assert sum(became) == 1
    assert line.take(60, 300).p.min() > 1e-3
    assert line.its["raised_ms"][0] == NONE


def test_a_spike_that_is_over_is_not_what_is_usual():
    line = Line()
    line.usual(100)
    for _ in range(6):
        line.take(90, 300)
    line.usual(40, seed=1)

    assert 25 < line.take(30, 300).expected[0, 0] < 36


def test_what_hardly_ever_happens_is_held_against_its_mean():
    line = Line(is_bound=False)
    rng = np.random.default_rng(2)
    for _ in range(200):
        line.take(rng.poisson(0.02), 100)

    assert line.take(1, 100).p.min() > 1e-3
    assert line.take(9, 100).p.min() < 1e-6


def test_a_season_of_the_day_is_expected_once_it_is_known():
    line = Line()
    rng = np.random.default_rng(3)
    for hour in range(24 * 10):
        line.take(rng.binomial(400, 0.2 if hour % 24 < 12 else 0.05), 400)

    assert line.take(80, 400).p.min() > 0.01  # at night it is always so
    for hour in range(1, 18):
        found = line.take(rng.binomial(400, 0.2 if hour % 24 < 12 else 0.05), 400)
    assert found.expected[0, 0] < 40
    assert line.take(80, 400).p.min() < 1e-5


def test_counts_that_are_noisier_than_chance_are_judged_by_their_own_noise():
    calm, noisy = Line(), Line()
    calm.usual(300, n_of=2_000)
    rng = np.random.default_rng(4)
    for _ in range(300):
        noisy.take(rng.binomial(2_000, 0.1 * np.exp(rng.normal(0, 0.25))), 2_000)

    assert calm.take(280, 2_000).p.min() < 1e-4
    assert noisy.take(280, 2_000).p.min() > 1e-3
