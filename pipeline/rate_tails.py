"""How likely so many of so many are, or more, where fewer were to be expected; and shares told so that their noise is the same everywhere.

A share is told by the arc sine of its root, a count that has no bound by its root: the noise of both is then 1 / (2 sqrt n). Both are told so that
they mean what the share means (Brown et al. 2010: a quarter is added). A tail is that of the signed root of the deviance, with the correction for
continuity and for skew (Lugannani and Rice 1980): hardly ever less than the exact tails of Poisson and binomial, and at most 2.5 times as much. Counts noisier than
chance have a dispersion, by which the deviance is divided.

Cases:   no more than expected -> its probability is 1
Source:  Brown, Cai, Zhang, Zhao, Zhou 2010, The root-unroot algorithm, PTRF 146; Barndorff-Nielsen 1990, Approximate interval probabilities, JRSS B 52;
         McCullagh, Nelder 1989, Generalized linear models, 4.5 (dispersion)
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_QUARTER = 0.25
_HALF = 0.5
_LEAST = 1e-9
_ERFC = np.frompyfunc(math.erfc, 1, 1)


def rooted(n: Floats, n_of: Floats, *, is_bound: bool) -> Floats:
    """Shares, told so that their noise is 1 / (2 sqrt n_of). `is_bound`: none of them is above 1."""
    if is_bound:
        return np.arcsin(np.sqrt(np.clip((n + _QUARTER) / (n_of + 2 * _QUARTER), 0.0, 1.0)))
    return np.sqrt((n + _QUARTER) / n_of)


def share(root: Floats, *, is_bound: bool) -> Floats:
    """The share that was told so."""
    root = np.maximum(root, 0.0)
    return np.sin(np.minimum(root, math.pi / 2)) ** 2 if is_bound else root**2


def distance(n: Floats, n_of: Floats, expected: Floats, *, is_bound: bool) -> Floats:
    """How far a count is from what was expected, in standard deviations of chance."""
    with np.errstate(invalid="ignore", divide="ignore"):
        should = np.arcsin(np.sqrt(np.clip(expected / n_of, 0.0, 1.0))) if is_bound else np.sqrt(expected / n_of)
        return 2 * np.sqrt(n_of) * (rooted(n, n_of, is_bound=is_bound) - should)


def surprise(n: Floats, n_of: Floats, expected: Floats, dispersion: Floats, *, is_bound: bool) -> Floats:
    """How many standard deviations it takes for so many or more; -infinite: no more than expected."""
    above = n > expected + _HALF
    seen = np.where(above, n - _HALF, 1.0)
    mean = np.where(above, np.maximum(expected, _LEAST), 1.0)
    others = np.where(above, n_of, 4.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        if is_bound:
            mean = np.minimum(mean, others * (1 - _LEAST))
            rest, rest_mean = np.maximum(others - seen, _LEAST), others - mean
            deviance = seen * np.log(seen / mean) + rest * np.log(rest / rest_mean)
            slope = np.log(seen * rest_mean / (rest * mean)) * np.sqrt(seen * rest / others)
        else:
            deviance = seen * np.log(seen / mean) - (seen - mean)
            slope = np.log(seen / mean) * np.sqrt(seen)
        root = np.sqrt(np.maximum(2 * deviance, _LEAST))
        skewed = root + np.log(np.maximum(slope, _LEAST) / root) / root
        z = np.where(root > 0.1, skewed, root) / np.sqrt(dispersion)
    return np.where(above, z, -np.inf)


def for_usual(n: float, n_of: float, expected: float, times: float, *, is_bound: bool) -> float:
    """How far so many speak for the usual share, and not for so many times it: log likelihood ratio."""
    if not is_bound:
        return expected * (times - 1) - n * math.log(times)
    usual = min(max(expected / n_of, _LEAST), 1 - _LEAST)
    raised = min(times * usual, (1 + usual) / 2)
    return n * math.log(usual / raised) + (n_of - n) * math.log((1 - usual) / (1 - raised))


def normal_tail(z: Floats) -> Floats:
    """Probability of so many standard deviations or more."""
    return np.asarray(_ERFC(np.asarray(z, dtype=np.float64) / math.sqrt(2)), dtype=np.float64) / 2
