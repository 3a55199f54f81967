"""The pages of a visit, in the order in which they are opened.

Frames:  VISITS -> PAGES
"""

from enum import IntEnum

import numpy as np
import polars as pl

from pipeline.simulator.columns import schema
from pipeline.simulator.draws import Bools, Ints
from pipeline.simulator.personas import TASTE
from pipeline.simulator.shops import CATEGORIES, N_PRODUCTS, products
from pipeline.simulator.visits import Errand, SignIn


class Kind(IntEnum):
    """What a page is for."""

    HOME = 0
    SEARCH = 1
    HELP = 2
    CART = 3
    SIGN_IN = 4
    REGISTER = 5
    CHECKOUT = 6
    SHIPPING = 7
    PAYMENT = 8
    CONFIRMATION = 9
    LISTING = 10
    PRODUCT = 11
    RFQ = 12
    APPROVAL = 13
    ONBOARDING = 14
    ACCOUNT = 15


class Stage(IntEnum):
    """Where in a visit a page stands; a visit goes through them in this order."""

    LANDING = 0
    SIGN_IN_FIRST = 1
    EXPLORING = 2
    ERRAND = 3
    """The forms of companies: a request, an approval, an onboarding."""
    CART = 4
    SIGN_IN = 5
    CHECKOUT = 6
    SHIPPING = 7
    PAYMENT = 8
    CONFIRMATION = 9
    AFTERWARDS = 10


STEPS = ("browse", "product", "cart", "checkout", "shipping", "payment", "purchased")
"""The steps of buying, as this customer goes through them."""

STEP_OF_KIND = np.array([0, 0, -1, 2, -1, -1, 3, 4, 5, 6, 0, 1, -1, -1, -1, -1])
"""Index into STEPS by kind; -1: no step of buying."""

_PAGE_TYPES = (
    "home", "search", "help", "cart", "login", "register",
    "checkout", "checkout", "checkout", "confirmation", "listing", "product",
    "rfq", "approval", "onboarding", "account",
)  # fmt: skip
PAGE_TYPES = pl.Series(_PAGE_TYPES)
"""`page_type` by kind."""

_FIXED = (
    "/", "/search", "/help/delivery", "/cart", "/login", "/register",
    "/checkout", "/checkout/shipping", "/checkout/payment", "/checkout/confirmation",
)  # fmt: skip
_OF_COMPANIES = ("/rfq/new", "/approvals", "/onboarding", "/account")
_LISTINGS = tuple(f"/c/{category}" for category in CATEGORIES)
_PRODUCTS = tuple(f"/p/{number:04d}" for number in range(N_PRODUCTS))
PATHS = pl.Series([*_FIXED, *_LISTINGS, *_PRODUCTS, *_OF_COMPANIES])
"""`page` by path code: the fixed pages by kind, then the listings, the products, the pages of companies."""
FIRST_LISTING = len(_FIXED)
FIRST_PRODUCT = FIRST_LISTING + len(CATEGORIES)
_FIRST_OF_COMPANIES = FIRST_PRODUCT + N_PRODUCTS

_KIND_OF_ERRAND = np.array([Kind.ACCOUNT, Kind.RFQ, Kind.RFQ, Kind.ONBOARDING, Kind.APPROVAL])
"""By `visits.Errand`."""

PAGES = schema(
    {
        "visit": pl.Int64,
        "stage": pl.Int64,
        "kind": pl.Int64,
        "path": pl.Int64,
        "product": pl.Int64,
        "adds": pl.Boolean,
        "is_first": pl.Boolean,
        "goes_on": pl.Boolean,
        "is_new": pl.Boolean,
    }
)
"""`visit`: row of VISITS. `path`: index into PATHS. `product`: -1 where the page shows none. `adds`: it ends with add_to_cart. `is_first`: of its visit.
`goes_on`: the visitor means to open another page. `is_new`: this path was not seen before in the visit. Rows stand in order of time within a visit."""


def pages(rng: np.random.Generator, visits: pl.DataFrame) -> pl.DataFrame:
    """All pages that these visits would open. Frames: VISITS -> PAGES."""
    visit, stage, nth, kind = _plan(rng, visits)
    n = len(visit)
    order = np.lexsort((nth, stage, visit))
    visit, stage, kind = visit[order], stage[order], kind[order]

    category = rng.integers(0, len(CATEGORIES), n)
    product = np.where(kind == Kind.PRODUCT, products(rng, n), -1)
    path = np.select(
        [kind == Kind.LISTING, kind == Kind.PRODUCT, kind > Kind.PRODUCT],
        [FIRST_LISTING + category, FIRST_PRODUCT + product, _FIRST_OF_COMPANIES + kind - Kind.RFQ],
        kind,
    )

    is_first = np.ones(n, dtype=bool)
    is_first[1:] = visit[1:] != visit[:-1]
    goes_on = np.append(~is_first[1:], False) if n else is_first
    is_new = np.zeros(n, dtype=bool)
    is_new[np.unique(visit * len(PATHS) + path, return_index=True)[1]] = True
    return pl.DataFrame(
        {
            "visit": visit,
            "stage": stage,
            "kind": kind,
            "path": path,
            "product": product,
            "adds": _adds(rng, visits, visit, stage, kind),
            "is_first": is_first,
            "goes_on": goes_on,
            "is_new": is_new,
        },
        schema=PAGES,
    )


def _plan(rng: np.random.Generator, visits: pl.DataFrame) -> tuple[Ints, Ints, Ints, Ints]:
    """Visit, stage, number within the stage and kind of every page."""
    n = visits.height
    everyone = np.arange(n)
    depth, resumes, sign_in = visits["depth"].to_numpy(), visits["resumes"].to_numpy(), visits["sign_in"].to_numpy()
    landing = visits["lands_on"].replace_strict({"home": Kind.HOME, "listing": Kind.LISTING, "product": Kind.PRODUCT}).to_numpy()

    exploring = np.repeat(everyone, visits["n_pages"].to_numpy())
    mood = rng.random(len(exploring))
    taste = TASTE[visits["persona"].to_numpy()][exploring]
    looks_at = np.select(
        [mood < taste, mood < taste + (1 - taste) * 0.66, mood < taste + (1 - taste) * 0.94],
        [Kind.PRODUCT, Kind.LISTING, Kind.SEARCH],
        Kind.HELP,
    )
    is_last = np.append(exploring[1:] != exploring[:-1], True) if len(exploring) else exploring.astype(bool)
    looks_at[is_last & ((depth > 0) & ~resumes)[exploring]] = Kind.PRODUCT

    views_cart = (depth >= 2) | resumes | ((depth == 1) & (rng.random(n) < 0.85))
    bought = depth >= 5
    afterwards = np.repeat(everyone, np.where(bought & (rng.random(n) < 0.15), rng.integers(1, 4, n), 0))
    signs_in = (sign_in == SignIn.BEFORE_CHECKOUT) | (sign_in == SignIn.REGISTERS)
    errand, finishes = visits["errand"].to_numpy(), visits["finishes_errand"].to_numpy()
    on_errand = errand != Errand.NOTHING
    parts = [
        (everyone, Stage.LANDING, np.where(resumes | on_errand, Kind.HOME, landing)),
        (everyone[on_errand], Stage.ERRAND, _KIND_OF_ERRAND[errand[on_errand]]),
        # Who has finished looks at what became of it.
        (everyone[on_errand & finishes], Stage.ERRAND, Kind.ACCOUNT),
        (everyone[sign_in == SignIn.FIRST], Stage.SIGN_IN_FIRST, Kind.SIGN_IN),
        (exploring, Stage.EXPLORING, looks_at),
        (everyone[views_cart], Stage.CART, Kind.CART),
        (everyone[signs_in], Stage.SIGN_IN, np.where(sign_in == SignIn.REGISTERS, Kind.REGISTER, Kind.SIGN_IN)[signs_in]),
        (everyone[depth >= 2], Stage.CHECKOUT, Kind.CHECKOUT),
        (everyone[depth >= 3], Stage.SHIPPING, Kind.SHIPPING),
        (everyone[depth >= 4], Stage.PAYMENT, Kind.PAYMENT),
        (everyone[bought], Stage.CONFIRMATION, Kind.CONFIRMATION),
        (afterwards, Stage.AFTERWARDS, np.where(rng.random(len(afterwards)) < 0.5, Kind.HOME, Kind.LISTING)),
    ]
    visit = np.concatenate([rows for rows, _, _ in parts])
    stage = np.concatenate([np.full(len(rows), part) for rows, part, _ in parts])
    kind = np.concatenate([np.broadcast_to(np.asarray(kinds), len(rows)) for rows, _, kinds in parts])
    # A running number is enough: within a stage rows stand in order, and nobody compares across stages.
    return visit, stage, np.arange(len(visit)), kind


def _adds(rng: np.random.Generator, visits: pl.DataFrame, visit: Ints, stage: Ints, kind: Ints) -> Bools:
    """The product pages that end with add_to_cart: the last one before the cart, and now and then an earlier one."""
    fills = ((visits["depth"] > 0) & ~visits["resumes"]).to_numpy()[visit]
    could = fills & (stage == Stage.EXPLORING) & (kind == Kind.PRODUCT)
    chosen: Bools = could & (rng.random(len(visit)) < 0.12)
    last = np.full(visits.height, -1)
    np.maximum.at(last, visit[could], np.flatnonzero(could))
    chosen[last[last >= 0]] = True
    return chosen
