"""The shops that are simulated: volume, currency, where their visitors live, what they sell."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from pipeline.simulator.draws import Ints


@dataclass(frozen=True)
class Shop:
    """One site."""

    site: str
    visitors_per_day: float
    """New visitors on an average day; visits are about half as many again, for some come back."""
    currency: str
    countries: tuple[tuple[str, float], ...]
    """Country (ISO 3166-1 alpha-2) and its share."""
    utc_offset: timedelta
    """Local time of its visitors: their day has its peak in the evening."""
    says_no_bot: bool
    """Its emitter writes `is_bot = false` for people; another one leaves it out."""

    def __post_init__(self) -> None:
        """Raises: ValueError if nobody could come."""
        if self.visitors_per_day < 0 or not self.countries:
            message = f"shop {self.site}: visitors_per_day must not be negative, countries not empty"
            raise ValueError(message)


SHOPS = (
    Shop(
        site="atlantic",
        visitors_per_day=24_000,
        currency="EUR",
        countries=(("DE", 0.42), ("FR", 0.21), ("NL", 0.13), ("ES", 0.12), ("AT", 0.07), ("BE", 0.05)),
        utc_offset=timedelta(hours=1),
        says_no_bot=True,
    ),
    Shop(
        site="pacific",
        visitors_per_day=11_000,
        currency="USD",
        countries=(("US", 0.78), ("CA", 0.16), ("MX", 0.06)),
        utc_offset=timedelta(hours=-7),
        says_no_bot=False,
    ),
)
"""Two shops of different volume whose nights do not coincide."""

N_PRODUCTS = 2_400

CATEGORIES = (
    "shoes", "jackets", "shirts", "trousers", "dresses", "bags", "watches", "lamps",
    "chairs", "kitchen", "garden", "toys", "books", "headphones", "cameras", "bicycles",
)  # fmt: skip

QUERIES = (
    "rain jacket", "running shoes", "desk lamp", "wireless headphones", "backpack 30l", "winter dress", "coffee grinder",
    "office chair", "bike helmet", "gift for mother", "waterproof watch", "linen shirt",
)  # fmt: skip

PRODUCT_IDS = pl.Series([f"p-{number:04d}" for number in range(N_PRODUCTS)], dtype=pl.String)

_UNITS = np.arange(N_PRODUCTS, dtype=np.int64) * 7_919 % 971
PRICES_MINOR = 499 + 100 * (_UNITS * _UNITS // 3_000)
"""Price of each product, 4.99 to about 318, most of them cheap: minor units of the shop's currency."""


def products(rng: np.random.Generator, n: int) -> Ints:
    """N products somebody looks at: a few are looked at often."""
    return np.minimum((N_PRODUCTS * rng.random(n) ** 2.2).astype(np.int64), N_PRODUCTS - 1)
