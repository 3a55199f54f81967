"""Clicks: the ones of every day, the ones of rage, and those that only look like it.

Frames:  TRODDEN with pace_ms, device, is_bot -> HAPPENINGS
Cases:   rage: 3 and more within a second on one button that does nothing | vague: by a slower hand
         calm: a stepper, a double click, a gallery, three boxes in a row, now and then a triple click that selects a paragraph
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator.devices import HEIGHT_PX, WIDTH_PX
from pipeline.simulator.draws import Ints, thought_ms, vaguely
from pipeline.simulator.friction import Moment
from pipeline.simulator.happenings import happenings, repeated, strings
from pipeline.simulator.pages import Kind

DOUBLE_CLICKS = 0.03
GALLERIES = 0.06
BOXES = 0.05
SELECTIONS = 0.0002
"""Probability a page that could have it; of the last few, for nothing in the clicks tells them from rage."""
_FAST_MS, _VAGUE_MS = (90, 241), (250, 801)
"""Time between two clicks of rage; the vague ones may as well be calm."""

WATCHED_MS = 7_500
"""How long the emitter watches for a reaction to a click."""

_BUTTONS = {
    Kind.LISTING: "button.apply-filter",
    Kind.PRODUCT: "button.add-to-cart",
    Kind.CART: "button.checkout",
    Kind.CHECKOUT: "button.continue-to-shipping",
    Kind.SHIPPING: "button.continue-to-payment",
    Kind.PAYMENT: "button.pay",
}
BUTTON_OF_KIND = [_BUTTONS.get(kind, "link.continue") for kind in Kind]
"""The button or link that leads on, by kind of page."""
_ROLES = ["button" if kind in _BUTTONS else "link" for kind in Kind]


@dataclass(frozen=True)
class Calm:
    """Clicks in a row that mean no harm."""

    elements: tuple[str, ...]
    """Clicked one after the other, and round again."""
    role: str
    apart_ms: tuple[int, int]
    """Shortest and longest time between two of them."""
    rank: int
    """Order of the runs on one page: one is finished before the next begins."""


_DOUBLED = Calm(("image.main",), "other", (80, 260), 0)
_LEAFED_THROUGH = Calm(("button.gallery-next",), "button", (1_300, 3_000), 8)
_TICKED = Calm(("checkbox.filter-size", "checkbox.filter-colour", "checkbox.filter-brand"), "other", (250, 600), 16)
_COUNTED = Calm(("button.quantity-plus",), "stepper", (110, 260), 24)
_SELECTED = Calm(("text.description",), "other", (110, 200), 32)


def rage(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """Planted rage clicks: 3 to 8 on the button that should lead on, mostly 90 to 240 ms apart, with nothing coming of it."""
    here = np.flatnonzero(pages["rage_click"].to_numpy())
    times = rng.integers(3, 9, len(here))
    page, nth = repeated(here, times)
    is_slow = np.repeat(vaguely(rng, pages, here), times)
    slow_ms = np.repeat(rng.integers(*_VAGUE_MS, len(here)), times)
    apart_ms = np.where(is_slow, slow_ms, rng.integers(*_FAST_MS, len(page)))
    kind = pages["kind"].to_numpy()[page]
    x_px, y_px = places(rng, pages, here, page, spread_px=4)
    return happenings(
        page,
        Moment.RAGED,
        "click",
        np.where(nth == 0, thought_ms(rng, pages["pace_ms"].to_numpy()[page]), apart_ms),
        nth=nth,
        element=strings(BUTTON_OF_KIND, kind),
        element_role=strings(_ROLES, kind),
        x_px=x_px,
        y_px=y_px,
        watched_ms=WATCHED_MS,
        planted="rage_click",
        echo="dead_click",
        vague=is_slow,
        measure=np.where(is_slow, apart_ms, float(sum(_FAST_MS)) / 2),
    )


def leading_on(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """The click that opens the next page, puts a product in the cart or sends a form."""
    wants = (pages["goes_on"] | pages["adds"]).to_numpy() & ~pages["is_bot"].to_numpy()
    page = np.flatnonzero(wants & (rng.random(pages.height) < 0.75))
    kind = pages["kind"].to_numpy()[page]
    return _click(rng, pages, page, strings(BUTTON_OF_KIND, kind), strings(_ROLES, kind), moment=Moment.DONE, spread_px=0, nth=0)


def look_alikes(rng: np.random.Generator, pages: pl.DataFrame) -> list[pl.DataFrame]:
    """Calm clicks that a careless eye takes for rage."""
    n = pages.height
    kind, is_person = pages["kind"].to_numpy(), ~pages["is_bot"].to_numpy()
    mood = rng.random(n)
    doubled = np.flatnonzero(is_person & (mood < DOUBLE_CLICKS))
    selected = np.flatnonzero(is_person & (kind == Kind.PRODUCT) & (mood >= DOUBLE_CLICKS) & (mood < DOUBLE_CLICKS + SELECTIONS))
    gallery = np.flatnonzero(is_person & (kind == Kind.PRODUCT) & (mood > 1 - GALLERIES))
    boxes = np.flatnonzero(is_person & (kind == Kind.LISTING) & (mood > 1 - BOXES))
    counted = np.flatnonzero(pages["quantity"].to_numpy() > 1)
    return [
        _run(rng, pages, _DOUBLED, doubled, np.full(len(doubled), 2)),
        _run(rng, pages, _LEAFED_THROUGH, gallery, rng.integers(3, 6, len(gallery))),
        _run(rng, pages, _TICKED, boxes, np.full(len(boxes), 3)),
        _run(rng, pages, _COUNTED, counted, pages["quantity"].to_numpy()[counted] - 1),
        _run(rng, pages, _SELECTED, selected, np.full(len(selected), 3)),
    ]


def _run(rng: np.random.Generator, pages: pl.DataFrame, calm: Calm, here: Ints, times: Ints) -> pl.DataFrame:
    """So many clicks on each page."""
    page, nth = repeated(here, times)
    element, role = strings(calm.elements, nth % len(calm.elements)), strings([calm.role], nth * 0)
    spread_px = 3 if len(calm.elements) == 1 else 150
    block = _click(rng, pages, page, element, role, spread_px=spread_px, nth=calm.rank + nth, starts=here)
    apart_ms = pl.Series(rng.integers(*calm.apart_ms, len(page)))
    return block.with_columns(pl.when(pl.Series(nth == 0)).then("after_ms").otherwise(apart_ms).alias("after_ms"))


def _click(
    rng: np.random.Generator,
    pages: pl.DataFrame,
    page: Ints,
    element: pl.Series,
    role: pl.Series,
    *,
    moment: Moment = Moment.TRIED,
    spread_px: int,
    nth: Ints | int,
    starts: Ints | None = None,
) -> pl.DataFrame:
    x_px, y_px = places(rng, pages, page if starts is None else starts, page, spread_px=spread_px)
    return happenings(
        page,
        moment,
        "click",
        thought_ms(rng, pages["pace_ms"].to_numpy()[page]),
        nth=nth,
        element=element,
        element_role=role,
        x_px=x_px,
        y_px=y_px,
        reaction_ms=rng.integers(15, 380, len(page)),
        watched_ms=WATCHED_MS,
    )


def places(rng: np.random.Generator, pages: pl.DataFrame, here: Ints, page: Ints, *, spread_px: int) -> tuple[Ints, Ints]:
    """One place a page on the visitor's screen, and every click within so many pixels of it, still on the screen."""
    device = pages["device"].to_numpy()
    places = []
    for extents in (WIDTH_PX, HEIGHT_PX):
        middle = np.zeros(pages.height)
        middle[here] = rng.uniform(0.15, 0.85, len(here))
        at = middle[page] * extents[device[page]] + rng.uniform(-spread_px, spread_px, len(page))
        places.append(np.clip(at, 0, extents[device[page]] - 1).astype(np.int64))
    return places[0], places[1]
