"""Who comes to a shop, and who of them comes back.

Frames:  VISITORS: a row is somebody about to make a visit
Time:    `at_ms` is when that visit begins, epoch ms; the next visit begins later than the end of the last one + gap
"""

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import DAY_MS, HOUR_MS
from pipeline.simulator.columns import schema
from pipeline.simulator.devices import BOT_DEVICE, devices
from pipeline.simulator.draws import Bools, Ints
from pipeline.simulator.identifiers import short_ids, uuids
from pipeline.simulator.personas import COMES_BACK, HAS_ACCOUNT, RHYTHM_DAYS, personas
from pipeline.simulator.shops import Shop

VISITORS = schema(
    {
        "at_ms": pl.Int64,
        "shop": pl.Int64,
        "visitor_id": pl.String,
        "persona": pl.Int64,
        "device": pl.Int64,
        "country": pl.String,
        "sends_session_id": pl.Boolean,
        "is_bot": pl.Boolean,
        "customer_id": pl.String,
        "account_id": pl.String,
        "is_remembered": pl.Boolean,
        "n_visits": pl.Int64,
        "cart_id": pl.String,
        "cart_minor": pl.Int64,
        "cart_items": pl.Int64,
        "n_orders": pl.Int64,
        "n_contacts": pl.Int64,
        "rhythm_ms": pl.Int64,
    }
)
"""`shop`, `persona`, `device`: indices. `customer_id`: the person's account, whether or not logged in; `is_remembered`: logged in from
the first page. `n_visits`: those before. `cart_id`, `cart_minor`, `cart_items`: a cart kept from the last visit, its total and pieces; null and 0: none.
`n_orders`, `n_contacts`: those before. `rhythm_ms`: time from an order to the next one, if the person comes back at all."""

SHARE_OF_COMPANIES = 0.12
"""Of the accounts, those of a B2B company's buyer."""
SHARE_OF_KNOWN = 0.35
"""Of the new visitors with an account, those who are logged in from the first page: they were customers before anybody listened."""
SHARE_OF_HOUSEHOLDS = 0.01
"""Of those who come back, how often it is somebody else at the same device, with an account of their own."""


def new_visitors(
    rng: np.random.Generator, at_ms: Ints, shop: Shop, shop_index: int, *, bots: float, without_session_id: float
) -> pl.DataFrame:
    """First-time visitors of a shop at these times. Frames: -> VISITORS."""
    n = len(at_ms)
    is_bot = rng.random(n) < bots
    persona = personas(rng, n)
    countries, shares = zip(*shop.countries, strict=True)
    has_account = (rng.random(n) < HAS_ACCOUNT[persona]) & ~is_bot
    buys_for_company = has_account & (rng.random(n) < SHARE_OF_COMPANIES)
    edges = np.cumsum(shares)
    country = np.searchsorted(edges, rng.random(n) * edges[-1], side="right")
    is_known = has_account & (rng.random(n) < SHARE_OF_KNOWN)
    rhythm_ms = np.maximum(RHYTHM_DAYS[persona] * rng.lognormal(0.0, 0.5, n), 1.0) * DAY_MS
    return pl.DataFrame(
        {
            "at_ms": at_ms,
            "shop": np.full(n, shop_index),
            "visitor_id": uuids(rng, n),
            "persona": persona,
            "device": np.where(is_bot, BOT_DEVICE, devices(rng, n)),
            "country": pl.Series(countries, dtype=pl.String).gather(country),
            "sends_session_id": rng.random(n) >= without_session_id,
            "is_bot": is_bot,
            "customer_id": short_ids(rng, n, "c-").zip_with(pl.Series(has_account), _nothing(n)),
            "account_id": short_ids(rng, n, "firm-").zip_with(pl.Series(buys_for_company), _nothing(n)),
            "is_remembered": is_known,
            "n_visits": np.zeros(n, dtype=np.int64),
            "cart_id": _nothing(n),
            "cart_minor": np.zeros(n, dtype=np.int64),
            "cart_items": np.zeros(n, dtype=np.int64),
            "n_orders": np.where(has_account, rng.poisson(1.5, n), 0),
            "n_contacts": np.zeros(n, dtype=np.int64),
            "rhythm_ms": rhythm_ms.astype(np.int64),
        },
        schema=VISITORS,
    )


def coming_back(
    rng: np.random.Generator, visits: pl.DataFrame, *, gap_ms: int, next_ms: Ints, has_left: Bools, not_before_ms: int = 0
) -> tuple[pl.DataFrame, Ints]:
    """Those who make one more visit, some just after the gap, some later the day, most on another day at about the same hour; and when each visitor does.

    Who has ordered comes at `next_ms`, a time of their own. Who `has_left` never does; their times are -1.

    Frames:  VISITORS with ended_ms, left, converted, ended_by, logged_in -> VISITORS
    """
    n = visits.height
    left, converted = visits["left"].to_numpy(), visits["converted"].to_numpy()
    chance = COMES_BACK[visits["persona"].to_numpy()] * np.where(left, 1.25, 1.0) * ~converted
    chance *= np.where((visits["ended_by"] != "").to_numpy(), 0.6, 1.0)
    comes = (rng.random(n) < np.where(visits["is_bot"].to_numpy(), 0.5, np.minimum(chance, 0.9))) & ~has_left

    at_ms = _next_visits(rng, visits["at_ms"].to_numpy(), visits["ended_ms"].to_numpy(), left, gap_ms=gap_ms)
    by_rhythm = converted & (next_ms >= 0)
    at_ms, comes = np.maximum(np.where(by_rhythm, next_ms, at_ms), not_before_ms), comes | by_rhythm
    is_other = (rng.random(n) < SHARE_OF_HOUSEHOLDS) & ~by_rhythm
    keeps_cart = left & (rng.random(n) < 0.6) & ~is_other & ~visits["is_bot"].to_numpy()
    is_remembered = visits["logged_in"].to_numpy() & (rng.random(n) < 0.7) & ~is_other
    other = short_ids(rng, n, "c-").zip_with(visits["customer_id"].is_not_null(), _nothing(n))
    is_other_series, keeps_cart_series = pl.Series(is_other), pl.Series(keeps_cart)
    back = (
        visits.with_columns(
            pl.Series("at_ms", at_ms),
            visits["customer_id"].zip_with(~is_other_series, other),
            visits["account_id"].zip_with(~is_other_series, _nothing(n)),
            pl.Series("is_remembered", is_remembered),
            pl.col("n_visits") + 1,
            visits["cart_id"].zip_with(keeps_cart_series, _nothing(n)),
            *(pl.Series(name, np.where(keeps_cart, visits[name].to_numpy(), 0)) for name in ("cart_minor", "cart_items")),
        )
        .select(VISITORS.names())
        .filter(pl.Series(comes))
    )
    return back, np.where(comes & ~is_other, at_ms, -1)


def _next_visits(rng: np.random.Generator, at_ms: Ints, ended_ms: Ints, left: Bools, *, gap_ms: int) -> Ints:
    n = len(at_ms)
    kind = rng.random(n)
    at_once = ended_ms + gap_ms + rng.integers(60_000, 180_000, n)
    later = ended_ms + gap_ms + rng.integers(600_000, 5 * HOUR_MS, n)
    days = np.minimum(rng.geometric(0.45, n), 5)
    another_day = at_ms + days * DAY_MS + (rng.normal(0.0, 1.25, n) * HOUR_MS).astype(np.int64)
    soonest = ended_ms + gap_ms + 600_000
    chosen = np.where(kind < 0.36, later, np.maximum(another_day, soonest))
    # A cart left is what people come back to after a cup of tea.
    return np.where(kind < np.where(left, 0.18, 0.06), at_once, chosen)


def _nothing(n: int) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, n)
