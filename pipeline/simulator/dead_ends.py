"""Searches and filters that lead nowhere.

Frames:  TRODDEN with pace_ms -> HAPPENINGS
Cases:   search: nothing is found, once or twice | asked three times and more, in other words, without a click | vague: asked one to four times more
         filter: all boxes ticked, nothing left | vague: one product left
"""

import numpy as np
import polars as pl

from pipeline.simulator.clicks import WATCHED_MS, places
from pipeline.simulator.draws import thought_ms, vaguely
from pipeline.simulator.friction import Moment
from pipeline.simulator.happenings import happenings, repeated, strings
from pipeline.simulator.shops import QUERIES

_ODD = ("reain jaket", "xl slim fit waterproof parka green", "spare part 4711-b", "gift card 25", "left handed scissors")
_ASKED_AGAIN = 0.4
_BOXES = ("checkbox.filter-size", "checkbox.filter-colour", "checkbox.filter-brand")


def searches(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """Nothing is found, or nothing that anybody would click."""
    here = np.flatnonzero(pages["search_dead_end"].to_numpy())
    is_vague = vaguely(rng, pages, here)
    asks = ~is_vague & (rng.random(len(here)) < _ASKED_AGAIN)
    times = np.select(
        [is_vague, asks], [rng.integers(0, 4, len(here)) + 1, rng.integers(3, 6, len(here))], rng.integers(1, 3, len(here))
    )
    page, nth = repeated(here, times)
    found_some = np.repeat(is_vague | asks, times)
    query = np.where(found_some, rng.integers(0, len(QUERIES), len(page)), len(QUERIES) + rng.integers(0, len(_ODD), len(page)))
    return happenings(
        page,
        Moment.SOUGHT,
        "search",
        2_000 + thought_ms(rng, pages["pace_ms"].to_numpy()[page]),
        nth=nth,
        query=strings([*QUERIES, *_ODD], query),
        n_results=np.where(found_some, rng.integers(1, 400, len(page)), 0),
        planted="search_dead_end",
        vague=np.repeat(is_vague, times),
        measure=np.repeat(times, times),
    )


def filters(rng: np.random.Generator, pages: pl.DataFrame) -> list[pl.DataFrame]:
    """One box after the other, until the list is empty."""
    here = np.flatnonzero(pages["filter_dead_end"].to_numpy())
    times = rng.integers(2, 4, len(here))
    page, nth = repeated(here, times)
    vague = vaguely(rng, pages, here)
    x_px, y_px = places(rng, pages, here, page, spread_px=90)
    return [
        happenings(
            page,
            Moment.FILTERED,
            "click",
            1_200 + thought_ms(rng, pages["pace_ms"].to_numpy()[page]) // 2,
            nth=nth,
            element=strings(_BOXES, nth % len(_BOXES)),
            element_role="other",
            x_px=x_px,
            y_px=y_px,
            reaction_ms=rng.integers(15, 380, len(page)),
            watched_ms=WATCHED_MS,
            planted="filter_dead_end",
            vague=np.repeat(vague, times),
        ),
        happenings(
            here,
            Moment.FILTERED,
            "view_item_list",
            rng.integers(100, 700, len(here)),
            nth=8,
            element="filter",
            n_results=vague.astype(np.int64),
            planted="filter_dead_end",
            vague=vague,
        ),
    ]
