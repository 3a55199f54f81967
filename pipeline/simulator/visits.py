"""What a visit would be if nothing got in the way: how it begins, how much is looked at, how far it goes.

Frames:  VISITORS -> VISITS (VISITORS and the columns below)
"""

from enum import IntEnum

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import DAY_MS
from pipeline.simulator.columns import schema
from pipeline.simulator.devices import COLUMNS as DEVICE_COLUMNS
from pipeline.simulator.draws import Bools, Ints
from pipeline.simulator.identifiers import short_ids, uuids
from pipeline.simulator.obstacles import BAD_DAYS
from pipeline.simulator.origins import ORIGIN_COLUMNS, origins
from pipeline.simulator.personas import LADDER, N_PAGES, PACE_MS
from pipeline.simulator.visitors import VISITORS


class SignIn(IntEnum):
    """When in a visit somebody logs in."""

    NEVER = 0
    FIRST = 1
    BEFORE_CHECKOUT = 2
    REGISTERS = 3
    """Opens an account before checkout."""


class Errand(IntEnum):
    """What a company's buyer comes for, if not for the shelves."""

    NOTHING = 0
    RFQ = 1
    BULK_PRICE = 2
    ONBOARDING = 3
    APPROVAL = 4


_ERRANDS = (0.45, 0.30, 0.10, 0.10, 0.05)
"""Share of each of a company's visits; the onboarding mostly at the first."""
_FINISHES_ERRAND = 0.78
"""Probability to mean to finish it."""
_REORDERS = 0.3
"""Probability of a visit of somebody who is known from its first page and has ordered before."""


VISITS = schema(
    {
        **VISITORS,
        "visit_id": pl.String,
        "session_id": pl.String,
        "new_cart_id": pl.String,
        "resumes": pl.Boolean,
        "depth": pl.Int64,
        "n_pages": pl.Int64,
        "sign_in": pl.Int64,
        "pace_ms": pl.Float64,
        "device_name": pl.String,
        "browser": pl.String,
        "os": pl.String,
        "app_version": pl.String,
        "acquisition_channel": pl.String,
        "campaign": pl.String,
        "referrer": pl.String,
        "lands_on": pl.String,
        "is_bad_day": pl.Boolean,
        "errand": pl.Int64,
        "finishes_errand": pl.Boolean,
        "reorders": pl.Boolean,
    }
)
"""`depth`: 0 just looks, 1 puts something in the cart, 2 checkout, 3 shipping, 4 payment, 5 buys. `n_pages`: looked at between the landing page and
the cart. `resumes`: begins with the cart of the last visit. `pace_ms`: median time between two things done in this visit. `reorders`: wants an earlier order again."""


def visits(rng: np.random.Generator, visitors: pl.DataFrame) -> pl.DataFrame:
    """The visits that these visitors mean to make. Frames: VISITORS -> VISITS."""
    n = visitors.height
    persona, is_bot = visitors["persona"].to_numpy(), visitors["is_bot"].to_numpy()
    resumes = (visitors["cart_minor"] > 0).to_numpy()
    errand = _errands(rng, visitors)
    reorders = _reorders(rng, visitors) & ~resumes & (errand == Errand.NOTHING)
    ladder = LADDER[persona]
    ladder[resumes | reorders, 0] = 1.0
    # Who comes back to a cart has mostly made up their mind.
    ladder[resumes, 1] = np.minimum(ladder[resumes, 1] + 0.15, 1.0)
    depth = (rng.random((n, 5)) < ladder).cumprod(axis=1).sum(axis=1)
    depth[is_bot | (errand != Errand.NOTHING)] = 0

    n_pages = rng.poisson(np.where(resumes | reorders | (errand != Errand.NOTHING), 0.5, N_PAGES[persona]))
    n_pages = np.where(is_bot, rng.integers(12, 45, n), np.maximum(n_pages, (depth > 0) & ~resumes))
    pace_ms = np.where(is_bot, 1_300.0, PACE_MS[persona] * rng.lognormal(0.0, 0.25, n))

    sign_in = _sign_ins(rng, visitors, depth)
    sign_in[(errand != Errand.NOTHING) & ~visitors["is_remembered"].to_numpy()] = SignIn.FIRST
    registers = pl.Series(sign_in == SignIn.REGISTERS)
    origin = origins(rng, (visitors["n_visits"] > 0).to_numpy())
    nothing = pl.repeat(None, n, dtype=pl.String, eager=True)
    week = (visitors["at_ms"].to_numpy() - 4 * DAY_MS) // (7 * DAY_MS)
    device = DEVICE_COLUMNS[visitors["device"]]
    return visitors.with_columns(
        short_ids(rng, n, "c-").zip_with(registers, visitors["customer_id"]).alias("customer_id"),
        visitors.select(pl.concat_str("visitor_id", pl.lit("/"), pl.col("n_visits") + 1)).to_series().alias("visit_id"),
        uuids(rng, n).zip_with(visitors["sends_session_id"], nothing).alias("session_id"),
        short_ids(rng, n, "cart-").alias("new_cart_id"),
        pl.Series("resumes", resumes),
        pl.Series("depth", depth),
        pl.Series("n_pages", n_pages),
        pl.Series("sign_in", sign_in),
        pl.Series("pace_ms", pace_ms),
        device["device"].alias("device_name"),
        device["browser"],
        device["os"],
        # A page has the shop's release of the week; an app the one that its owner has installed.
        device["app_version"].fill_null(pl.Series("week", week).cast(pl.String).str.replace("^", "web-")).alias("app_version"),
        *ORIGIN_COLUMNS[origin],
        pl.Series("is_bad_day", rng.random(n) < BAD_DAYS),
        pl.Series("errand", errand),
        pl.Series("finishes_errand", (errand != Errand.NOTHING) & (rng.random(n) < _FINISHES_ERRAND)),
        pl.Series("reorders", reorders),
    ).select(VISITS.names())


def _errands(rng: np.random.Generator, visitors: pl.DataFrame) -> Ints:
    """What companies come for; nothing of the kind for all others."""
    n = visitors.height
    is_company = (visitors["account_id"].is_not_null() & ~visitors["is_bot"] & (visitors["cart_minor"] == 0)).to_numpy()
    is_new = (visitors["n_visits"] == 0).to_numpy()
    drawn = rng.choice(len(_ERRANDS), n, p=_ERRANDS)
    drawn = np.where(is_new & (rng.random(n) < 0.25), Errand.ONBOARDING, drawn)
    return np.where(is_company, drawn, Errand.NOTHING).astype(np.int64)


def _reorders(rng: np.random.Generator, visitors: pl.DataFrame) -> Bools:
    known: Bools = (visitors["is_remembered"] & (visitors["n_orders"] > 0)).to_numpy()
    return known & (rng.random(visitors.height) < _REORDERS)


def _sign_ins(rng: np.random.Generator, visitors: pl.DataFrame, depth: Ints) -> Ints:
    n = visitors.height
    has_account = visitors["customer_id"].is_not_null().to_numpy()
    must = has_account & ~visitors["is_remembered"].to_numpy()
    mood = rng.random(n)
    checks_out = depth >= 2
    return np.select(
        [must & (mood < 0.2), must & checks_out & (mood < 0.75), ~has_account & checks_out & (mood < 0.1)],
        [SignIn.FIRST, SignIn.BEFORE_CHECKOUT, SignIn.REGISTERS],
        SignIn.NEVER,
    )
