"""What a page says of the shop's business: it was opened, it shows products, a cart, a checkout; something was bought.

Frames:  TRODDEN with pace_ms, is_bot, sends_session_id, quantity, pause_ms -> HAPPENINGS
"""

import numpy as np
import polars as pl

from pipeline.simulator.draws import Ints, mixed, thought_ms
from pipeline.simulator.friction import Moment
from pipeline.simulator.happenings import happenings, strings
from pipeline.simulator.pages import Kind, Stage
from pipeline.simulator.shops import PRICES_MINOR, PRODUCT_IDS, QUERIES

PAGE_LEAVES_LOST = (0.18, 0.015)
"""Share of page_leave events that never get out, for the tab was closed too fast: before the cart, and from there on, where people go on step by step."""
IDLE_TABS = 0.008
"""Share of pages that stay open for minutes in the background: no hesitation."""
WISHES = 0.05
COUPONS = 0.15
COUPON = "WELCOME10"
BEYOND_GAP = 0.2
"""Of the long pauses of somebody whose emitter sends a `session_id`, those that last longer than the gap."""
CLEAR_OF_GAP_MS = 30_000
"""Every other silence within a visit is shorter than the gap by at least this."""

_ARRIVALS = {
    Kind.SEARCH: "search",
    Kind.HELP: "help_view",
    Kind.CART: "view_cart",
    Kind.CHECKOUT: "begin_checkout",
    Kind.SHIPPING: "add_shipping_info",
    Kind.PAYMENT: "add_payment_info",
    Kind.CONFIRMATION: "purchase",
    Kind.LISTING: "view_item_list",
    Kind.PRODUCT: "view_item",
}
_ARRIVAL_OF_KIND = [_ARRIVALS.get(kind) for kind in Kind]
"""What a page sends as soon as it stands: the shop fires each step's event on arrival, with what it has preselected."""

COMMERCE = (
    "add_to_cart", "view_cart", "begin_checkout", "add_shipping_info", "add_payment_info", "payment_submitted", "payment_failed", "purchase",
    "coupon_applied", "coupon_rejected", "price_changed", "out_of_stock",
)  # fmt: skip
"""Event types that carry cart, total and currency."""


def views(rng: np.random.Generator, pages: pl.DataFrame) -> list[pl.DataFrame]:
    """Every page opened, and what it shows."""
    n = pages.height
    everything = np.arange(n)
    kind = pages["kind"].to_numpy()
    says = np.flatnonzero(np.isin(kind, list(_ARRIVALS)))
    product = pages["product"].to_numpy()[says]
    is_search = kind[says] == Kind.SEARCH
    query = np.where(is_search, rng.integers(0, len(QUERIES), len(says)), len(QUERIES))
    n_results = pl.Series(rng.integers(3, 400, len(says))).zip_with(pl.Series(is_search), pl.repeat(None, len(says), eager=True))
    return [
        happenings(everything, Moment.OPENED, "page_view", pages["pause_ms"].to_numpy()),
        happenings(
            says,
            Moment.ARRIVED,
            strings(_ARRIVAL_OF_KIND, kind[says]),
            rng.integers(30, 400, len(says)),
            product_id=_product_ids(product),
            query=strings([*QUERIES, None], query),
            n_results=n_results,
            # Whoever searches again and has opened nothing in between may be at a dead end, planted or not.
            echo=strings([None, "search_dead_end"], pages["searches_again"].to_numpy()[says].astype(np.int64)),
        ),
    ]


def deeds(rng: np.random.Generator, pages: pl.DataFrame) -> list[pl.DataFrame]:
    """What is done before a page is left: products put in the cart, people logged in, payments sent."""
    n = pages.height
    kind, pace_ms, product = pages["kind"].to_numpy(), pages["pace_ms"].to_numpy(), pages["product"].to_numpy()
    goes_on = pages["goes_on"].to_numpy()
    mood = rng.random(n)
    is_person = ~pages["is_bot"].to_numpy()

    adds = np.flatnonzero(pages["adds"].to_numpy())
    quantity = pages["quantity"].to_numpy()[adds]
    wishes = np.flatnonzero(is_person & (kind == Kind.PRODUCT) & (mood < WISHES) & ~pages["adds"].to_numpy())
    coupons = np.flatnonzero(goes_on & (kind == Kind.CART) & (mood < COUPONS) & ~pages["coupon_rejected"].to_numpy())
    enters = np.flatnonzero(np.isin(kind, (Kind.SIGN_IN, Kind.REGISTER)))
    pays = np.flatnonzero(goes_on & (kind == Kind.PAYMENT))
    return [
        happenings(
            adds,
            Moment.DONE,
            "add_to_cart",
            rng.integers(80, 600, len(adds)),
            nth=2,
            product_id=_product_ids(product[adds]),
            quantity=quantity,
            more_minor=PRICES_MINOR[product[adds]] * quantity,
        ),
        happenings(
            wishes,
            Moment.DONE,
            "add_to_wishlist",
            thought_ms(rng, pace_ms[wishes]),
            nth=2,
            product_id=_product_ids(product[wishes]),
        ),
        # Rank 0 is the click that leads on: the coupon comes before it.
        happenings(coupons, Moment.DONE, "coupon_applied", thought_ms(rng, pace_ms[coupons]), nth=-1, coupon=COUPON),
        happenings(
            enters,
            Moment.DONE,
            strings(["login", "sign_up"], (kind[enters] == Kind.REGISTER).astype(np.int64)),
            rng.integers(150, 900, len(enters)),
            nth=2,
        ),
        happenings(
            pays,
            Moment.DONE,
            "payment_submitted",
            rng.integers(60, 500, len(pays)),
            nth=2,
            planted=strings([None, "payment_retried"], pages["payment_failed"].to_numpy()[pays].astype(np.int64)),
        ),
    ]


def leaves(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """The page is left; a few of these events are lost."""
    hesitates, is_person = pages["payment_hesitation"].to_numpy(), ~pages["is_bot"].to_numpy()
    lost = np.array(PAGE_LEAVES_LOST)[(pages["stage"] >= Stage.CART).to_numpy().astype(np.int64)]
    held_up = (
        pages.select((pl.col("kind") == Kind.PAYMENT) & (pl.col("form_error_loop") | pl.col("payment_failed")))
        .to_series()
        .to_numpy()
        & ~hesitates
    )
    left = np.flatnonzero(is_person & (hesitates | (rng.random(pages.height) >= lost)))
    n = len(left)
    is_idle = (rng.random(n) < IDLE_TABS) & ~hesitates[left]
    after_ms = thought_ms(rng, pages["pace_ms"].to_numpy()[left]) - 1_400
    foreground = np.select(
        [is_idle, hesitates[left]], [rng.uniform(0.02, 0.1, n), rng.uniform(0.85, 1.0, n)], rng.uniform(0.55, 1.0, n)
    )
    return happenings(
        left,
        Moment.LEFT,
        "page_leave",
        np.where(is_idle, rng.integers(100_000, 500_000, n), after_ms),
        foreground=foreground,
        planted=strings([None, "payment_hesitation"], hesitates[left].astype(np.int64)),
        # Minutes with a form or a card that is refused look the same.
        echo=strings([None, "payment_hesitation"], held_up[left].astype(np.int64)),
    )


def pauses(rng: np.random.Generator, pages: pl.DataFrame, *, long_pauses: float, gap_ms: int) -> Ints:
    """Milliseconds of silence before each page is opened, none before the first.

    Cases:   mostly a breath | long, a few just below the gap | beyond the gap, only where the emitter says that it is the same session
    """
    n = pages.height
    pace_ms = pages["pace_ms"].to_numpy()
    breath_ms = np.minimum(200 + (0.3 * pace_ms * rng.lognormal(0.0, 0.7, n)).astype(np.int64), gap_ms - CLEAR_OF_GAP_MS)
    below = (
        (0.6, 0.08 * gap_ms, 0.5 * gap_ms),
        (0.25, 0.5 * gap_ms, 0.9 * gap_ms),
        (0.15, gap_ms - 120_000, gap_ms - CLEAR_OF_GAP_MS),
    )
    beyond = ((0.5, gap_ms + 60_000, 1.5 * gap_ms + 60_000), (0.5, 1.5 * gap_ms + 60_000, 5 * gap_ms))
    long_ms = np.where(
        pages["sends_session_id"].to_numpy() & (rng.random(n) < BEYOND_GAP), mixed(rng, n, beyond), mixed(rng, n, below)
    )
    is_long = (rng.random(n) < long_pauses) & ~pages["is_bot"].to_numpy() & (pages["stage"].to_numpy() != Stage.CONFIRMATION)
    return np.where(pages["is_first"].to_numpy(), 0, np.where(is_long, long_ms, breath_ms))


def _product_ids(product: Ints) -> pl.Series:
    """The id of each product; null where the page shows none."""
    is_one = product >= 0
    return PRODUCT_IDS.gather(np.where(is_one, product, 0)).zip_with(
        pl.Series(is_one), pl.repeat(None, len(product), dtype=pl.String, eager=True)
    )
