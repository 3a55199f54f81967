"""The kinds of people who come to a shop, and how far each tends to go."""

from dataclasses import dataclass

import numpy as np

from pipeline.simulator.draws import Ints


@dataclass(frozen=True)
class Persona:
    """One kind of visitor."""

    name: str
    share: float
    """Of all people; the shares add up to 1."""
    n_pages: float
    """Pages looked at before deciding, on average."""
    taste_for_products: float
    """Share of those pages that show one product."""
    to_cart: float
    """Probability to put something in the cart, when nothing gets in the way; the next four likewise, each given the one before."""
    to_checkout: float
    to_shipping: float
    to_payment: float
    to_purchase: float
    pace_ms: float
    """Median time between two things done, in ms."""
    has_account: float
    """Probability to have an account with the shop."""
    comes_back: float
    """Probability of one more visit after a visit."""
    rhythm_days: float
    """Median days from an order to the next one of somebody who is content."""


PERSONAS = (
    Persona("window_shopper", 0.36, 4.0, 0.50, 0.09, 0.45, 0.80, 0.80, 0.80, 9_000, 0.10, 0.28, 60.0),
    Persona("searcher", 0.22, 2.5, 0.65, 0.34, 0.62, 0.88, 0.90, 0.90, 7_000, 0.20, 0.30, 35.0),
    Persona("bargain_hunter", 0.16, 6.0, 0.55, 0.30, 0.50, 0.80, 0.82, 0.82, 11_000, 0.30, 0.45, 25.0),
    Persona("regular", 0.16, 2.5, 0.60, 0.46, 0.75, 0.92, 0.94, 0.94, 6_500, 0.80, 0.60, 9.0),
    Persona("hurried", 0.10, 1.5, 0.70, 0.38, 0.70, 0.85, 0.88, 0.90, 3_500, 0.25, 0.20, 14.0),
)

SHARES = np.array([persona.share for persona in PERSONAS])
N_PAGES = np.array([persona.n_pages for persona in PERSONAS])
TASTE = np.array([persona.taste_for_products for persona in PERSONAS])
PACE_MS = np.array([persona.pace_ms for persona in PERSONAS])
HAS_ACCOUNT = np.array([persona.has_account for persona in PERSONAS])
COMES_BACK = np.array([persona.comes_back for persona in PERSONAS])
RHYTHM_DAYS = np.array([persona.rhythm_days for persona in PERSONAS])
LADDER = np.array(
    [(persona.to_cart, persona.to_checkout, persona.to_shipping, persona.to_payment, persona.to_purchase) for persona in PERSONAS]
)
"""A row a persona: the probability of each next step given the one before."""


def personas(rng: np.random.Generator, n: int) -> Ints:
    """The persona of n people, as an index into PERSONAS."""
    return rng.choice(len(PERSONAS), n, p=SHARES).astype(np.int64)
