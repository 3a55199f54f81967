"""Tails of Poisson and binomial are those of exact sums; shares come back from their roots."""

import math

import numpy as np
import pytest

from pipeline.rate_tails import distance, normal_tail, rooted, share, surprise


def poisson(count, mean):
    return math.fsum(math.exp(-mean + n * math.log(mean) - math.lgamma(n + 1)) for n in range(count, count + 300))


def binomial(count, n, p):
    return math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(count, n + 1))


def tail(n, n_of, expected, *, is_bound, dispersion=1.0):
    found = surprise(*(np.array([float(value)]) for value in (n, n_of, expected, dispersion)), is_bound=is_bound)
    return float(normal_tail(found)[0])


@pytest.mark.parametrize(("count", "mean"), [(1, 0.01), (3, 0.1), (6, 1.0), (12, 3.0), (40, 15.0), (200, 120.0)])
def test_a_count_is_as_unlikely_as_poisson_says(count, mean):
    assert 0.9 < tail(count, 10_000, mean, is_bound=False) / poisson(count, mean) < 2.5


@pytest.mark.parametrize(("count", "n", "p"), [(2, 30, 0.01), (10, 30, 0.1), (30, 30, 0.5), (80, 100, 0.6), (300, 1_000, 0.25)])
def test_a_share_is_as_unlikely_as_binomial_says(count, n, p):
    assert 0.9 < tail(count, n, n * p, is_bound=True) / binomial(count, n, p) < 2


def test_no_more_than_expected_is_no_surprise():
    assert tail(5, 100, 5.0, is_bound=True) == 1.0
    assert tail(0, 100, 0.0, is_bound=False) == 1.0


def test_counts_noisier_than_chance_are_less_of_a_surprise():
    assert tail(40, 100, 20, is_bound=True, dispersion=4.0) > 1_000 * tail(40, 100, 20, is_bound=True)


@pytest.mark.parametrize("is_bound", [True, False])
def test_a_root_means_the_share_and_has_the_noise_of_its_number(is_bound):
    rng = np.random.default_rng(1)
    n_of = np.full(40_000, 60.0)
    for rate in (0.08, 0.3, 0.5):
        n = (rng.binomial(60, rate, 40_000) if is_bound else rng.poisson(60 * rate, 40_000)).astype(float)
        roots = rooted(n, n_of, is_bound=is_bound)
        assert share(roots.mean(keepdims=True), is_bound=is_bound)[0] == pytest.approx(rate, rel=0.02)
        assert distance(n, n_of, n_of * rate, is_bound=is_bound).std() == pytest.approx(1.0, abs=0.06)
