"""Pages that are opened on the way and left again: back and forth between two of them, a look at the help, a login that is asked for.

Each is a page_view with a path of its own; the customer ends on the page where the detour began.

Frames:  TRODDEN with pace_ms, back_path, back_kind -> HAPPENINGS
Cases:   thrashing: six and more changes in a few seconds each | vague: more slowly
         ping-pong: there and back twice and more, at the pace of somebody who reads | vague: once to three times
         help: delivery and returns in the middle of the checkout
         login wall: an account is asked for after the checkout has begun, and opened by some
"""

import numpy as np
import polars as pl

from pipeline.simulator.draws import Floats, Ints, thought_ms, vaguely
from pipeline.simulator.friction import Moment
from pipeline.simulator.happenings import Cells, happenings, repeated, strings
from pipeline.simulator.pages import PAGE_TYPES, PATHS, Kind

_BACK = {Kind.CHECKOUT: Kind.CART, Kind.SHIPPING: Kind.CHECKOUT, Kind.PAYMENT: Kind.SHIPPING}
_BACK_OF_KIND = np.array([_BACK.get(kind, kind) for kind in Kind])
_SAYS = {
    Kind.CART: "view_cart",
    Kind.CHECKOUT: "begin_checkout",
    Kind.SHIPPING: "add_shipping_info",
    Kind.PAYMENT: "add_payment_info",
}
_SAYS_OF_KIND = [_SAYS.get(kind) for kind in Kind]
_WANDERS_MS, _WANDERS_SLOWLY_MS = (500, 2_401), (2_500, 12_501)
"""Time between two looks of somebody who thrashes; slowly, it may as well be comparing."""
_READS = (("/help/delivery", "help"), ("/help/returns", "help"), ("/legal/terms", "policy"), ("/legal/returns", "policy"))


def thrashing(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """Back and forth between this page and the one before, faster than anybody reads."""
    here = np.flatnonzero(pages["page_thrashing"].to_numpy())
    is_vague = vaguely(rng, pages, here)
    times = 2 * rng.integers(3, 6, len(here))
    page, nth = repeated(here, times)
    goes_back = nth % 2 == 0
    kind = np.where(goes_back, pages["back_kind"].to_numpy()[page], pages["kind"].to_numpy()[page])
    path = np.where(goes_back, pages["back_path"].to_numpy()[page], pages["path"].to_numpy()[page])
    slowly = np.repeat(is_vague, times)
    slow_ms = np.repeat(rng.integers(*_WANDERS_SLOWLY_MS, len(here)), times)
    apart_ms = np.where(slowly, slow_ms, rng.integers(*_WANDERS_MS, len(page)))
    return happenings(
        page,
        Moment.WANDERED,
        "page_view",
        apart_ms,
        nth=nth,
        at_path=PATHS.gather(path),
        at_type=PAGE_TYPES.gather(kind),
        planted="page_thrashing",
        echo="step_ping_pong",
        vague=slowly,
        measure=np.where(slowly, apart_ms, float(sum(_WANDERS_MS)) / 2),
    )


def ping_pong(rng: np.random.Generator, pages: pl.DataFrame) -> list[pl.DataFrame]:
    """Back to the step before, and here again; every arrival tells its step, as the shop does."""
    here = np.flatnonzero(pages["step_ping_pong"].to_numpy())
    is_vague = vaguely(rng, pages, here)
    times = 2 * np.where(is_vague, rng.integers(1, 4, len(here)), rng.integers(2, 5, len(here)))
    page, nth = repeated(here, times)
    here_kind = pages["kind"].to_numpy()[page]
    kind = np.where(nth % 2 == 0, _BACK_OF_KIND[here_kind], here_kind)
    said: dict[str, Cells] = {
        "at_path": PATHS.gather(kind),
        "at_type": PAGE_TYPES.gather(kind),
        "planted": "step_ping_pong",
        "echo": "page_thrashing",
        "vague": np.repeat(is_vague, times),
        "measure": np.repeat(times // 2, times),
    }
    reads_ms = 2_000 + thought_ms(rng, pages["pace_ms"].to_numpy()[page])
    return [
        happenings(page, Moment.RETREATED, "page_view", reads_ms, nth=2 * nth, **said),
        happenings(page, Moment.RETREATED, strings(_SAYS_OF_KIND, kind), rng.integers(30, 400, len(page)), nth=2 * nth + 1, **said),
    ]


def help_read(rng: np.random.Generator, pages: pl.DataFrame) -> list[pl.DataFrame]:
    """A page of the help or of the terms, read in the middle of the checkout, and back."""
    page = np.flatnonzero(pages["help_in_checkout"].to_numpy())
    which = rng.integers(0, len(_READS), len(page))
    away: dict[str, Cells] = {
        "at_path": strings([path for path, _ in _READS], which),
        "at_type": strings([kind for _, kind in _READS], which),
        "planted": "help_in_checkout",
    }
    pace_ms = pages["pace_ms"].to_numpy()[page]
    return [
        happenings(page, Moment.ASKED, "page_view", thought_ms(rng, pace_ms), nth=0, **away),
        happenings(page, Moment.ASKED, "help_view", rng.integers(30, 400, len(page)), nth=1, **away),
        happenings(page, Moment.ASKED, "page_view", 4_000 + thought_ms(rng, pace_ms), nth=2),
    ]


def walls(rng: np.random.Generator, pages: pl.DataFrame) -> list[pl.DataFrame]:
    """The checkout asks for a login, and lets nobody on without. Some find the small link for guests, which is vague."""
    page = np.flatnonzero(pages["login_wall"].to_numpy())
    at: dict[str, Cells] = {"at_path": "/login", "at_type": "login", "planted": "login_wall"}
    goes_on = page[pages["goes_on"].to_numpy()[page] & (pages["cut"].to_numpy()[page] > Moment.WALLED)]
    pace_ms = pages["pace_ms"].to_numpy()
    return [
        happenings(page, Moment.WALLED, "page_view", rng.integers(300, 1_500, len(page)), nth=0, **at),
        _as_guest(rng, goes_on, pace_ms),
        happenings(goes_on, Moment.WALLED, "page_view", rng.integers(200, 900, len(goes_on)), nth=2),
    ]


def _as_guest(rng: np.random.Generator, page: Ints, pace_ms: Floats) -> pl.DataFrame:
    return happenings(
        page,
        Moment.WALLED,
        "click",
        3_000 + thought_ms(rng, pace_ms[page]),
        nth=1,
        element="link.continue-as-guest",
        element_role="link",
        reaction_ms=rng.integers(15, 380, len(page)),
        watched_ms=7_500,
        at_path="/login",
        at_type="login",
    )
