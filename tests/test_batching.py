"""When a batch is written, and how long a failed one waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.batching import Backoff, Batching, Gathered

BATCHING = Batching(rows=10, size=1_000, age_s=2.0)


def test_nothing_is_never_due():
    assert BATCHING.due_at(Gathered()) is None
    assert not BATCHING.is_full(Gathered())


def test_a_few_rows_are_due_when_the_oldest_is_old_enough():
    gathered = Gathered().added(1, 10, now=5.0).added(1, 10, now=6.0)
    assert BATCHING.due_at(gathered) == 7.0


def test_enough_rows_or_bytes_are_due_at_once():
    assert BATCHING.due_at(Gathered().added(10, 1, now=5.0)) == 5.0
    assert BATCHING.due_at(Gathered().added(1, 1_000, now=5.0)) == 5.0


def test_a_batch_takes_what_fits_and_always_the_first():
    assert BATCHING.fits(Gathered(), 50, 50_000)
    assert BATCHING.fits(Gathered().added(4, 100, now=0.0), 6, 900)
    assert not BATCHING.fits(Gathered().added(4, 100, now=0.0), 7, 1)
    assert not BATCHING.fits(Gathered().added(4, 100, now=0.0), 1, 901)


def test_rows_without_bytes_wait_like_others():
    assert BATCHING.due_at(Gathered().added(0, 0, now=1.0)) == 3.0


def test_what_is_left_is_as_old_as_the_oldest_of_it():
    both = Gathered().added(6, 60, now=1.0).added(3, 30, now=1.5)
    assert both.without(Gathered(6, 60, 1.0), 1.5) == Gathered(3, 30, 1.5)
    assert both.without(both, None) == Gathered()


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"size": 0}, {"age_s": 0.0}])
def test_a_policy_that_never_writes_is_refused(wrong):
    with pytest.raises(ValueError, match="at least one row"):
        Batching(**wrong)


@given(failures=st.integers(1, 10_000), chance=st.floats(0, 1))
def test_an_attempt_waits_longer_every_time_but_never_too_long(failures, chance):
    backoff = Backoff(first_s=0.2, longest_s=30.0)
    wait_s = backoff.wait_s(failures, chance)
    assert 0.1 <= wait_s <= 30.0
    assert wait_s <= backoff.wait_s(failures + 1, chance)
    assert backoff.wait_s(failures, 0.0) * 2 == pytest.approx(backoff.wait_s(failures, 1.0))
