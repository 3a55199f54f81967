"""How much friction a session met: points a signal, one score from 0 to 100.

The score is a plain sum, so that it explains itself (20 of the 45 points: rage click) and one more firing never lowers it. It ends at 100: whoever
met so much needs no finer measure, and a page that reports errors by the hundred must not outweigh everybody else.

Cases:   one thing again before its run is over -> joins the run, which is one signal: what joins two runs leaves one
         something else in the midst of a chain -> parts it, where the rule asks for one thing in a row

Weights order signals by how surely each stands in the way of somebody who wants to go on: 30 - cannot go on (a form that takes no answer),
20 - tries in vain, 15 - something broke, which the customer may not have seen, 10 - a nuisance.

Source:  a published weighting gives a JavaScript error 5, rage 4 (netaj.io, "How frustration scoring works"); we put the error below the rage,
         for most errors of a page are seen by nobody but its console
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

MOST = 100.0
"""No session has more points."""

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "rage_click": 20.0,
        "dead_click": 10.0,
        "error_click": 10.0,
        "page_thrashing": 10.0,
        "step_ping_pong": 20.0,
        "form_error_loop": 30.0,
        "form_abandoned": 20.0,
        "slow_page": 10.0,
        "page_error": 15.0,
        "search_dead_end": 20.0,
        "filter_dead_end": 10.0,
        "coupon_rejected": 20.0,
        "price_surprise": 20.0,
        "out_of_stock_in_checkout": 30.0,
        "payment_failed": 30.0,
        "payment_retried": 20.0,
        "login_wall": 20.0,
        "login_failed_repeatedly": 30.0,
        "help_in_checkout": 10.0,
        "payment_hesitation": 10.0,
        "option_flipping": 10.0,
        "hard_reorder": 20.0,
        "form_restarted": 20.0,
    }
)
"""Every signal there is, by its file in pipeline/signals, and the points that one firing of it adds. A new one goes to the end: state knows them by their
place."""


def friction_score(points: pl.Expr) -> pl.Expr:
    """The score of a session, or of a step of it, whose signals weigh `points` in total."""
    return points.clip(0.0, MOST)


@dataclass(frozen=True)
class Share:
    """What one kind of signal adds to a score."""

    signal: str
    n: int
    """How often it fired."""
    points: float
    """What that adds, of all points together; the score ends at MOST."""


@dataclass(frozen=True)
class Explanation:
    """A score, and where it comes from."""

    score: float
    points: float
    """All that was met; more than the score, if that is at its end."""
    shares: tuple[Share, ...]
    """The greatest first."""

    def lines(self) -> tuple[str, ...]:
        """In words: `20 of 45 points: rage_click`, `30 of 45 points: 2 x page_error`."""
        return tuple(
            f"{share.points:g} of {self.points:g} points: {f'{share.n} x ' if share.n > 1 else ''}{share.signal}"
            for share in self.shares
        )


def explained(fired: Iterable[tuple[str, float]]) -> Explanation:
    """The score of what fired, each a signal and its weight: of a session, or of one step."""
    counts: dict[str, tuple[int, float]] = {}
    for signal, weight in fired:
        n, points = counts.get(signal, (0, 0.0))
        counts[signal] = n + 1, points + weight
    shares = sorted(
        (Share(signal, n, points) for signal, (n, points) in counts.items()), key=lambda share: (-share.points, share.signal)
    )
    points = sum((share.points for share in shares), start=0.0)
    return Explanation(min(MOST, max(0.0, points)), points, tuple(shares))
