"""Draws from a seeded generator that several parts need, and the names of the arrays they come in."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Mixture = Sequence[tuple[float, float, float]]
"""Share, from, to: of each range its share; the shares add up to 1."""


def mixed(rng: np.random.Generator, n: int, mixture: Mixture) -> Ints:
    """N whole numbers, each drawn evenly from one of the ranges."""
    shares, lows, highs = (np.array(column) for column in zip(*mixture, strict=True))
    which = np.minimum(np.searchsorted(np.cumsum(shares), rng.random(n), side="right"), len(shares) - 1)
    drawn: Ints = (lows[which] + (highs - lows)[which] * rng.random(n)).astype(np.int64)
    return drawn


def vaguely(rng: np.random.Generator, pages: pl.DataFrame, here: Ints) -> Bools:
    """Which of the frictions on these pages are drawn across the border: anybody may call them one or not."""
    vague: Bools = rng.random(len(here)) < pages["vague_share"].to_numpy()[here]
    return vague


def thought_ms(rng: np.random.Generator, pace_ms: Floats) -> Ints:
    """How long somebody of that pace takes for one thing: at least 1.5 s, so that two things done never look like one."""
    drawn: Ints = 1_500 + (pace_ms * rng.lognormal(0.0, 0.6, len(pace_ms))).astype(np.int64)
    return drawn
