"""Which of many p-values are discoveries, so that of those at most a stated share is false.

Cases:   nothing is wrong anywhere -> with the probability of the level there is any discovery at all
         tests that rise together, as those of nested segments do -> the level holds as well
Source:  Benjamini, Hochberg 1995, Controlling the false discovery rate, JRSS B 57; Benjamini, Yekutieli 2001, Ann. Statist. 29, theorem 1.2
         (positive dependence)
"""

import numpy as np
from numpy.typing import NDArray


def threshold(p_values: NDArray[np.float64], level: float) -> float:
    """Up to which p-value they are discoveries; 0: none is."""
    ordered = np.sort(p_values)
    allowed = level * np.arange(1, len(ordered) + 1) / max(len(ordered), 1)
    passed = np.flatnonzero(ordered <= allowed)
    return float(ordered[passed[-1]]) if len(passed) else 0.0
