import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.friction import WEIGHTS, explained, friction_score


def score(*signals: str) -> float:
    """The score of a session in which these fired."""
    points = pl.DataFrame({"weight": [WEIGHTS[signal] for signal in signals]}, schema={"weight": pl.Float64})
    return points.select(friction_score(pl.col("weight").sum())).item()


def test_no_friction_is_nothing():
    assert score() == 0.0


def test_the_score_is_the_sum_of_the_weights():
    assert score("rage_click", "slow_page", "slow_page") == WEIGHTS["rage_click"] + 2 * WEIGHTS["slow_page"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(list(WEIGHTS)), max_size=30), st.sampled_from(list(WEIGHTS)))
def test_more_friction_never_lowers_it_and_100_is_the_end(met, more):
    assert 0.0 <= score(*met) <= score(*met, more) <= 100.0


def test_what_stands_in_the_way_weighs_more_than_a_nuisance():
    assert WEIGHTS["form_error_loop"] > WEIGHTS["rage_click"] > WEIGHTS["page_error"] > WEIGHTS["slow_page"]


def test_a_score_is_explained_by_what_it_is_made_of():
    found = explained([("page_error", 15.0), ("rage_click", 20.0), ("page_error", 15.0)])

    assert found.score == 50.0
    assert found.lines() == ("30 of 50 points: 2 x page_error", "20 of 50 points: rage_click")


def test_a_score_at_its_end_is_explained_by_all_that_was_met():
    found = explained([("form_error_loop", 30.0)] * 5)

    assert (found.score, found.points) == (100.0, 150.0)
    assert found.lines() == ("150 of 150 points: 5 x form_error_loop",)
    assert explained([]).score == 0.0
    assert explained([]).lines() == ()


@settings(deadline=None)
@given(st.lists(st.sampled_from(list(WEIGHTS)), max_size=30))
def test_the_explanation_adds_up_to_the_score(met):
    found = explained((signal, WEIGHTS[signal]) for signal in met)

    assert sum(share.points for share in found.shares) == found.points
    assert sum(share.n for share in found.shares) == len(met)
    assert found.score == score(*met)
