"""Of discoveries at most the stated share is false."""

import numpy as np
import pytest

from pipeline.false_discoveries import threshold


def test_no_p_values_and_no_small_ones_are_no_discovery():
    assert threshold(np.zeros(0), 0.05) == 0.0
    assert threshold(np.array([0.2, 0.9]), 0.05) == 0.0


def test_the_largest_that_is_below_its_line_is_the_threshold():
    assert threshold(np.array([0.9, 0.011, 0.02, 0.03]), 0.05) == 0.03


def test_the_share_of_false_discoveries_is_held():
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(400):
        p = rng.random(200)
        p[:20] = rng.random(20) * 1e-4  # what is true
        found = p <= threshold(p, 0.1)
        shares.append(found[20:].sum() / max(found.sum(), 1))
    assert np.mean(shares) == pytest.approx(0.09, abs=0.02)
