"""The table of what gets in the way on a page: how often, and how many it drives away.

An *obstacle* is planted. A *consequence* is what a customer does because of one, or for no reason at all, and is told as well: nobody leaves because of it.
Half of those who buy have met an obstacle too, and a third of those who leave a cart met two kinds: nothing follows from having met one alone.
"""

from dataclasses import dataclass

OBSTACLE_KINDS = (
    "rage_click", "form_error_loop", "slow_page", "page_error",
    "dead_click", "error_click", "page_thrashing", "step_ping_pong", "search_dead_end", "filter_dead_end",
    "coupon_rejected", "price_surprise", "out_of_stock_in_checkout", "payment_failed", "login_wall", "login_failed_repeatedly",
    "help_in_checkout", "payment_hesitation", "option_flipping", "form_restarted",
)  # fmt: skip
CONSEQUENCES = ("form_abandoned", "payment_retried", "hard_reorder")
KINDS = (*OBSTACLE_KINDS, *CONSEQUENCES)

WEARINESS = 1.6
"""So much likelier goes who has met another kind in this visit before; no probability exceeds `MOST_WEARY`."""
MOST_WEARY = 0.95
BAD_DAYS = 0.45
"""Share of visits in which things go wrong."""
ON_A_BAD_DAY, ON_A_GOOD_DAY = 1.85, 0.3
"""Factors of the probabilities below; on average about 1."""
VAGUE = 0.1
"""Of what is planted, the cases that anybody may call friction or not: clicks not quite so fast, a page not quite so slow."""


@dataclass(frozen=True)
class Obstacle:
    """One kind of friction: how often it is planted, and what it does to people."""

    kind: str
    while_exploring: float
    """Probability a page before the cart, of those where it can be met."""
    while_buying: float
    """Probability a page from the cart to the payment, and on the forms of companies."""
    makes_leave: float
    """Probability that somebody who meets it, and no other kind before, ends the visit there and then, because of it."""

    def __post_init__(self) -> None:
        """Raises: ValueError if a probability is none or the kind is unknown."""
        if self.kind not in OBSTACLE_KINDS:
            message = f"unknown kind of friction: {self.kind}; known: {', '.join(OBSTACLE_KINDS)}"
            raise ValueError(message)
        if not all(0 <= chance <= 1 for chance in (self.while_exploring, self.while_buying, self.makes_leave)):
            message = f"obstacle {self.kind}: probabilities lie between 0 and 1"
            raise ValueError(message)


OBSTACLES = (
    Obstacle("rage_click", while_exploring=0.012, while_buying=0.05, makes_leave=0.50),
    Obstacle("form_error_loop", while_exploring=0.06, while_buying=0.07, makes_leave=0.50),
    Obstacle("slow_page", while_exploring=0.03, while_buying=0.06, makes_leave=0.22),
    Obstacle("page_error", while_exploring=0.02, while_buying=0.04, makes_leave=0.35),
    Obstacle("dead_click", while_exploring=0.02, while_buying=0.05, makes_leave=0.18),
    Obstacle("error_click", while_exploring=0.01, while_buying=0.03, makes_leave=0.35),
    Obstacle("page_thrashing", while_exploring=0.025, while_buying=0.0, makes_leave=0.20),
    Obstacle("step_ping_pong", while_exploring=0.0, while_buying=0.07, makes_leave=0.20),
    Obstacle("search_dead_end", while_exploring=0.12, while_buying=0.0, makes_leave=0.35),
    Obstacle("filter_dead_end", while_exploring=0.06, while_buying=0.0, makes_leave=0.20),
    Obstacle("coupon_rejected", while_exploring=0.0, while_buying=0.08, makes_leave=0.20),
    Obstacle("price_surprise", while_exploring=0.0, while_buying=0.08, makes_leave=0.30),
    Obstacle("out_of_stock_in_checkout", while_exploring=0.0, while_buying=0.035, makes_leave=0.45),
    Obstacle("payment_failed", while_exploring=0.0, while_buying=0.16, makes_leave=0.30),
    Obstacle("login_wall", while_exploring=0.0, while_buying=0.16, makes_leave=0.25),
    Obstacle("login_failed_repeatedly", while_exploring=0.12, while_buying=0.12, makes_leave=0.30),
    Obstacle("help_in_checkout", while_exploring=0.0, while_buying=0.07, makes_leave=0.10),
    Obstacle("payment_hesitation", while_exploring=0.0, while_buying=0.16, makes_leave=0.25),
    Obstacle("option_flipping", while_exploring=0.02, while_buying=0.06, makes_leave=0.12),
    Obstacle("form_restarted", while_exploring=0.0, while_buying=0.25, makes_leave=0.35),
)
"""Planted by default; a probability of meeting is for an average day."""
