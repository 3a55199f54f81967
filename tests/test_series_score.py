"""A series is scored by its past alone, whatever comes in it."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.daily_jobs import DailyJobs
from pipeline.seasonal_baseline import DAY_S, SLOT_S, WEEK, Season
from pipeline.series_score import SeriesScorer, poisson_surprise, scores
from tests.series import KINDS, MONDAY_S

VALUES = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers(-3, 50).map(float), st.floats(-100, 100))
SPANS = st.sampled_from((0.5, 60, 300, 300, 300, 3_600, 86_400, 10**7))


def at(*values, step_s=300):
    return [(MONDAY_S + step_s * row, value) for row, value in enumerate(values)]


def noise(n, seed=0):
    return np.random.default_rng(seed).normal(0, 1, n)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SPANS, VALUES), max_size=60))
def test_every_series_has_scores_from_0_to_1(rows):
    found = scores((MONDAY_S + sum(span for span, _ in rows[: row + 1]), value) for row, (_, value) in enumerate(rows))

    assert len(found) == len(rows)
    assert all(0 <= score <= 1 for score in found)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_score_of_a_row_knows_nothing_of_later_rows(kind):
    rows = kind(7).rows()[:1_200]
    whole = scores(rows)

    assert scores(rows) == whole
    for cut in (1, 2, 11, 300, 801):
        other_end = [(at_s, 1e6 * (row % 2) - 0.5) for row, (at_s, _) in enumerate(rows)][cut:]
        assert scores(rows[:cut] + other_end)[:cut] == whole[:cut]
        assert scores(rows[:cut]) == whole[:cut]


@pytest.mark.parametrize(("times", "plus"), [(1_000.0, 0.5), (0.001, -7.0), (-3.0, 250.0)])
def test_a_gauge_in_another_unit_has_the_same_scores(times, plus):
    values = 20 + noise(800)
    values[[500, 501, 700]] += 7

    assert scores(at(*(values * times + plus).tolist())) == pytest.approx(scores(at(*values.tolist())), abs=1e-6)


def test_any_change_of_a_flat_line_is_unusual():
    for level, other in ((0.0, 1.0), (5.0, 6.0), (7.25, 7.26), (1e6, 1e6 + 1), (3.0, 3.5)):
        found = scores(at(*[level] * 400, other))
        assert max(found[:-1]) == 0.0
        assert found[-1] > 0.9, level


def test_a_level_that_moves_is_unusual_at_once_and_usual_soon_after():
    values = 10 + noise(1_000)
    values[600:] += 8
    found = scores(at(*values.tolist()))

    assert found[600] > 0.7
    assert max(found[620:]) < 0.6


def test_what_the_time_of_day_explains_is_usual():
    """The same value is usual at noon, and unusual at night."""
    day = np.tile(np.repeat((10.0, 50.0), 144), 10)
    values = day + noise(len(day))
    morning, noon = 288 * 9 + 60, 288 * 9 + 200
    values[[morning, noon]] = 50.0
    found = scores(at(*values.tolist()))

    assert found[morning] > 0.9
    assert found[noon] < 0.5


def test_a_job_of_every_night_is_unusual_at_first_and_then_usual():
    values = 10 + noise(288 * 8)
    values[40::288] += 30
    found = scores(at(*values.tolist()))

    assert found[40 + 288] > 0.9
    assert max(found[40 + 288 * 4 :: 288]) < 0.5


def test_a_gap_is_unusual_where_there_was_none_before():
    values = [*(50 + noise(1_500)).tolist(), None, *(50 + noise(50)).tolist()]
    rows = at(*values)
    assert scores(rows)[1_500] > 0.5

    late = [row for row in rows if row[1] is not None]
    assert scores(late)[1_500] > 0.5, "the row after one that is not there"

    every_third = [None if row % 3 == 0 else value for row, value in enumerate((50 + noise(1_500)).tolist())]
    assert max(scores(at(*every_third))[30::3]) < 0.2


def test_counts_fall_to_nothing():
    counts = np.random.default_rng(3).poisson(40, 600).astype(float)
    counts[500] = 0

    assert scores(at(*counts.tolist()))[500] > 0.8


def test_what_turns_out_to_be_no_count_keeps_what_was_learned():
    counts = [50.0 + row % 3 for row in range(400)]
    found = scores(at(*counts, 51.5, *counts, 70.0))

    assert max(found[:-1]) < 0.5
    assert found[-1] > 0.9


def test_without_a_past_nothing_is_unusual():
    assert scores([]) == []
    assert scores(at(5.0)) == [0.0]
    assert scores(at(5.0, 500.0, -3.0)) == [0.0, 0.0, 0.0]


def test_time_that_does_not_go_on_is_refused():
    scorer = SeriesScorer()
    scorer.score(100.0, 1.0)
    for at_s in (100.0, 99.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="is not after"):
            scorer.score(at_s, 1.0)


def test_a_season_says_nothing_before_it_has_seen_one_period():
    season = Season(WEEK, 0.3)
    for hour in range(24 * 7):
        assert season.at(MONDAY_S + 3_600 * hour) is None or hour * 3_600 >= (WEEK - 1) * SLOT_S
        season.learn(MONDAY_S + 3_600 * hour, float(hour), 3_600)

    assert season.at(MONDAY_S + 7 * DAY_S + 5 * 3_600) == 5.0


def test_one_outlier_makes_no_daily_job():
    jobs = DailyJobs()
    for off in (30.0, 0.1):
        jobs.learn(MONDAY_S + 60 * off, off)
    for day, off in enumerate((0.2, 30.0, -0.1, 0.3)):
        jobs.learn(MONDAY_S + DAY_S * day, off)
        assert jobs.expected(MONDAY_S + DAY_S * (day + 1), 1.0) == 0.0


def test_the_surprise_of_few_counts_is_that_of_poisson():
    """P(3 or more | 0.15) = 0.00050: two-sided that is 3.48 standard deviations."""
    assert poisson_surprise(3, 0.15) == pytest.approx(3.48, abs=0.01)
    found = [poisson_surprise(count, 4.0) for count in range(4, 20)]
    assert all(one < other for one, other in pairwise(found))
