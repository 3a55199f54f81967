import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipeline.friction import WEIGHTS, friction_score


def score(*signals: str) -> float:
    """The score of a session in which these fired."""
    points = pl.DataFrame({"weight": [WEIGHTS[signal] for signal in signals]}, schema={"weight": pl.Float64})
    return points.select(friction_score(pl.col("weight").sum())).item()


def test_no_friction_is_nothing():
    assert score() == 0.0


def test_the_score_is_the_sum_of_the_weights():
    assert score("rage_click", "slow_page", "slow_page") == WEIGHTS["rage_click"] + 2 * WEIGHTS["slow_page"]


@given(st.lists(st.sampled_from(list(WEIGHTS)), max_size=30), st.sampled_from(list(WEIGHTS)))
def test_more_friction_never_lowers_it_and_100_is_the_end(met, more):
    assert 0.0 <= score(*met) <= score(*met, more) <= 100.0


def test_what_stands_in_the_way_weighs_more_than_a_nuisance():
    assert WEIGHTS["form_error_loop"] > WEIGHTS["rage_click"] > WEIGHTS["page_error"] > WEIGHTS["slow_page"]
