"""Which way a visit came: channel, campaign, referrer, and the page it lands on."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator.draws import Bools, Ints


@dataclass(frozen=True)
class Origin:
    """One way to a shop."""

    channel: str
    share: float
    share_of_returns: float
    """Of the visits of people who come back."""
    campaign: str | None
    referrer: str | None
    lands_on: str
    """Page type of the first page."""


ORIGINS = (
    Origin("organic_search", 0.30, 0.14, None, "https://search.example/", "listing"),
    Origin("paid_search", 0.20, 0.06, "brand-search", "https://search.example/", "product"),
    Origin("paid_search", 0.08, 0.02, "autumn-sale", "https://find.example/", "listing"),
    Origin("direct", 0.18, 0.46, None, None, "home"),
    Origin("email", 0.05, 0.20, "newsletter-47", None, "home"),
    Origin("social", 0.12, 0.07, "creators", "https://social.example/", "product"),
    Origin("referral", 0.05, 0.04, None, "https://prices.example/", "product"),
    Origin("affiliate", 0.02, 0.01, "coupons-daily", "https://coupons.example/", "listing"),
)

ORIGIN_SHARES = np.array([[origin.share for origin in ORIGINS], [origin.share_of_returns for origin in ORIGINS]])
ORIGIN_COLUMNS = pl.DataFrame(
    {
        "acquisition_channel": [origin.channel for origin in ORIGINS],
        "campaign": [origin.campaign for origin in ORIGINS],
        "referrer": [origin.referrer for origin in ORIGINS],
        "lands_on": [origin.lands_on for origin in ORIGINS],
    }
)


def origins(rng: np.random.Generator, is_return: Bools) -> Ints:
    """Which way each visit came, as an index into ORIGINS; who has been here before comes more directly."""
    edges = ORIGIN_SHARES.cumsum(axis=1)
    drawn = rng.random(len(is_return)) * edges[:, -1][is_return.astype(np.int64)]
    which: Ints = (drawn[:, None] >= edges[is_return.astype(np.int64)]).sum(axis=1).astype(np.int64)
    return which
