"""Thousands of baselines at once say what as many single ones say."""

import math

import numpy as np
import pytest

from pipeline.many_baselines import BASELINE, Guesses, Values, forget_levels, learn_scales, made, push, scale_fields, scales
from pipeline.running_scale import RARE_Z, RunningScale
from pipeline.seasonal_baseline import SeasonalBaseline

MOST = 4.0


def series(rng, n):
    """Of every step: its length, whether each of the series has a value, and the value."""
    at_s = 0.0
    for _ in range(n):
        at_s += float(rng.choice((300, 300, 300, 3_600, 9_000)))
        values = np.sin(2 * np.pi * at_s / 86_400) + rng.normal(0, 0.3, 4) + (rng.random(4) < 0.02) * 5
        yield at_s, rng.random(4) < (1.0, 0.9, 0.5, 0.2), values


def test_they_expect_what_single_baselines_expect():
    rng = np.random.default_rng(3)
    its, singles, last = made(BASELINE, 4), [SeasonalBaseline() for _ in range(4)], np.zeros(4)
    n_compared = 0
    for at_s, there, values in series(rng, 600):
        rows = np.flatnonzero(there)
        at, value, span = np.full(len(rows), at_s), values[rows], at_s - last[rows]
        guesses = Guesses(its, rows, at)
        for place, row in enumerate(rows):
            should = singles[row].expected(at_s)
            its_low, its_high = (-math.inf, math.inf) if should is None else (should - MOST, should + MOST)
            singles[row].learn(at_s, value[place], span[place], its_low, its_high)
            if should is None:
                assert np.isnan(guesses.expected[place])
            else:
                assert guesses.expected[place] == pytest.approx(should, rel=1e-9)
                n_compared += 1
        should = guesses.expected
        most = np.where(np.isnan(should), np.inf, MOST)
        guesses.judge(its, np.ones(len(rows), dtype=bool), guesses.off(value, most))
        middle = np.where(np.isnan(should), value, should)
        push(its, rows, Values(at, value, span, np.clip(value, middle - most, middle + most)))
        last[rows] = at_s
    assert n_compared > 800
    assert not np.isnan(its["week"]).all()


def test_their_scales_are_those_of_single_ones():
    rng = np.random.default_rng(4)
    its, singles = made(scale_fields(2), 3), [[RunningScale() for _ in range(2)] for _ in range(3)]
    rows = np.arange(3)
    for _ in range(500):
        distances = rng.standard_t(2, (3, 2))
        distances[rng.random((3, 2)) < 0.1] = np.nan
        for row in rows:
            for place in range(2):
                single, distance = singles[row][place], distances[row, place]
                assert scales(its, rows)[row, place] == pytest.approx(single.scale(1.0) * single.rare / RARE_Z)
                if not np.isnan(distance):
                    single.learn(distance, 1.0)
        learn_scales(its, rows, distances)


def test_levels_that_are_forgotten_begin_anew_and_seasons_stay():
    its, rows = made(BASELINE, 1), np.zeros(1, dtype=np.int64)
    for step in range(60):
        at, value = np.array([step * 1_800.0]), np.array([1.0])
        push(its, rows, Values(at, value, np.array([1_800.0]), value))

    forget_levels(its, rows)

    assert np.isnan(its["level"]).all()
    assert its["day"][0, 5] == 1.0
