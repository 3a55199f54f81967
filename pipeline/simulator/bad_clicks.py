"""Clicks that go wrong one at a time: nothing comes of them, something breaks, or they are taken back again and again.

Frames:  TRODDEN with pace_ms, device -> HAPPENINGS
Cases:   dead: the button does nothing for as long as the emitter watches | vague: it answers, seconds later
         error: the page's script breaks within a second of the click | vague: within two and a half
         flipping: one choice and the other, six times and more | vague: three to seven times
"""

import numpy as np
import polars as pl

from pipeline.simulator.clicks import BUTTON_OF_KIND, WATCHED_MS, places
from pipeline.simulator.draws import Ints, thought_ms, vaguely
from pipeline.simulator.friction import Moment
from pipeline.simulator.happenings import Cells, happenings, repeated, strings
from pipeline.simulator.pages import Kind
from pipeline.simulator.quality import JS_MESSAGES

_SLOW_ANSWER_MS = (800, 6_000)
_BREAKS_MS, _BREAKS_LATE_MS = (40, 900), (400, 2_600)
_OPTIONS = ("option.size-m", "option.size-l")
_COUNTERS = ("button.quantity-plus", "button.quantity-minus")


def dead(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """One click on the button that leads on, and nothing comes of it."""
    page = np.flatnonzero(pages["dead_click"].to_numpy())
    vague = vaguely(rng, pages, page)
    reaction_ms = rng.integers(*_SLOW_ANSWER_MS, len(page))
    answered = pl.Series(reaction_ms).zip_with(pl.Series(vague), pl.repeat(None, len(page), dtype=pl.Int64, eager=True))
    return _hits(
        rng,
        pages,
        page,
        Moment.HIT,
        reaction_ms=answered,
        planted="dead_click",
        vague=vague,
        measure=np.where(vague, reaction_ms, WATCHED_MS),
    )


def broken(rng: np.random.Generator, pages: pl.DataFrame) -> list[pl.DataFrame]:
    """A click, and the script that should have answered breaks. It is an error of the page as well: the error echoes as one."""
    page = np.flatnonzero(pages["error_click"].to_numpy())
    vague = vaguely(rng, pages, page)
    after_ms = np.where(vague, rng.integers(*_BREAKS_LATE_MS, len(page)), rng.integers(*_BREAKS_MS, len(page)))
    said: dict[str, Cells] = {"planted": "error_click", "vague": vague, "measure": after_ms}
    kind = pages["kind"].to_numpy()[page]
    return [
        # The page answers, if only with an error: the click is not dead.
        _hits(rng, pages, page, Moment.BROKE, reaction_ms=rng.integers(15, 38, len(page)), **said),
        happenings(
            page,
            Moment.BROKE,
            "js_error",
            after_ms,
            nth=1,
            element=strings(BUTTON_OF_KIND, kind),
            message=strings(JS_MESSAGES, rng.integers(0, len(JS_MESSAGES), len(page))),
            echo="page_error",
            **said,
        ),
    ]


def flips(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """One choice and the other, again and again: a size on a product's page, a number of pieces in the cart."""
    here = np.flatnonzero(pages["option_flipping"].to_numpy())
    is_vague = vaguely(rng, pages, here)
    times = np.where(is_vague, rng.integers(3, 8, len(here)), rng.integers(6, 12, len(here)))
    page, nth = repeated(here, times)
    kind = pages["kind"].to_numpy()[page]
    in_cart = (kind == Kind.CART).astype(np.int64)
    element = strings([*_OPTIONS, *_COUNTERS], in_cart * 2 + nth % 2)
    quantity = pl.Series(2 - nth % 2).zip_with(pl.Series(in_cart == 1), pl.repeat(None, len(page), dtype=pl.Int64, eager=True))
    x_px, y_px = places(rng, pages, here, page, spread_px=60)
    return happenings(
        page,
        Moment.FLIPPED,
        "click",
        np.where(nth == 0, thought_ms(rng, pages["pace_ms"].to_numpy()[page]), rng.integers(900, 3_500, len(page))),
        nth=nth,
        element=element,
        element_role="stepper",
        x_px=x_px,
        y_px=y_px,
        reaction_ms=rng.integers(15, 380, len(page)),
        watched_ms=WATCHED_MS,
        quantity=quantity,
        planted="option_flipping",
        vague=np.repeat(is_vague, times),
        measure=np.repeat(times, times),
    )


def _hits(rng: np.random.Generator, pages: pl.DataFrame, page: Ints, moment: Moment, **said: Cells) -> pl.DataFrame:
    """One click a page on the button that leads on."""
    kind = pages["kind"].to_numpy()[page]
    x_px, y_px = places(rng, pages, page, page, spread_px=0)
    return happenings(
        page,
        moment,
        "click",
        thought_ms(rng, pages["pace_ms"].to_numpy()[page]),
        element=strings(BUTTON_OF_KIND, kind),
        element_role="button",
        x_px=x_px,
        y_px=y_px,
        watched_ms=WATCHED_MS,
        nth=0,
        **said,
    )
