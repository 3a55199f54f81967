"""How much friction a session met: points a signal, one score from 0 to 100.

The score is a plain sum, so that it explains itself (20 of the 45 points: rage click) and more friction never lowers it. It ends at 100: whoever
met so much needs no finer measure, and a page that reports errors by the hundred must not outweigh everybody else.

Weights order signals by how surely each stands in the way of somebody who wants to go on: 30 - cannot go on (a form that takes no answer),
20 - tries in vain, 15 - something broke, which the customer may not have seen, 10 - a nuisance.

Source:  a published weighting gives a JavaScript error 5, rage 4 (netaj.io, "How frustration scoring works"); we put the error below the rage,
         for most errors of a page are seen by nobody but its console
"""

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

MOST = 100.0
"""No session has more points."""

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "rage_click": 20.0,
        "form_error_loop": 30.0,
        "slow_page": 10.0,
        "page_error": 15.0,
    }
)
"""Every signal there is, by its file in pipeline/signals, and the points that one firing of it adds."""


def friction_score(points: pl.Expr) -> pl.Expr:
    """The score of a session whose signals weigh `points` in total."""
    return points.clip(0.0, MOST)
