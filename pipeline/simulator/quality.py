"""How well the page worked: web vitals, errors of page and interface; planted ones and everyday ones.

Frames:  TRODDEN with device_name, is_bot -> HAPPENINGS
Cases:   vitals: good | could be better, which is no friction | clearly poor, planted | vague: about the border
         errors: planted | an api_error that is a redirect, which is no friction | now and then a script error that nobody notices, which is none either
Source:  good and poor of LCP, INP and CLS as web.dev publishes them; planted values stay well clear of the border
"""

import numpy as np
import polars as pl

from pipeline.simulator.draws import vaguely
from pipeline.simulator.friction import VITALS, Moment
from pipeline.simulator.happenings import happenings, strings

MEASURED = (0.6, 0.3, 0.35)
"""Probability that a page tells its LCP, INP, CLS."""
COULD_BE_BETTER = 0.12
REDIRECTS = 0.003
UNNOTICED = 0.00008
"""Probability a page of a script error that is no friction; small, for nothing in it tells it from one that is."""

_Ranges = tuple[tuple[float, float], ...]
_GOOD: _Ranges = ((700, 2_400), (30, 190), (0.0, 0.09))
_BETTER: _Ranges = ((2_600, 3_600), (220, 440), (0.11, 0.22))
_POOR: _Ranges = ((5_000, 12_000), (700, 2_400), (0.36, 0.95))
_NEARLY: _Ranges = ((2_500, 6_000), (200, 750), (0.1, 0.375))
"""From, to of each vital: good, could be better, clearly poor, and the vague ones, from the border of good to well beyond that of poor."""
_MOMENTS = (Moment.PAINTED, Moment.RESPONDED, Moment.SETTLED)
JS_MESSAGES = (
    "TypeError: undefined is not an object",
    "ReferenceError: cartState is not defined",
    "ChunkLoadError: loading chunk 7 failed",
)
HARMLESS = "ResizeObserver loop completed with undelivered notifications."
_API_MESSAGES = ("POST /api/cart", "GET /api/stock", "POST /api/session", "GET /api/prices")
_STATUSES = np.array([500, 502, 503, 504, 429, 409])


def vitals(rng: np.random.Generator, pages: pl.DataFrame) -> list[pl.DataFrame]:
    """What the pages tell of LCP, INP and CLS; an app has none of them."""
    n = pages.height
    tells = (pages["device_name"] != "app").to_numpy() & ~pages["is_bot"].to_numpy()
    slow, vital = pages["slow_page"].to_numpy(), pages["vital"].to_numpy()
    blocks = []
    for which, metric in enumerate(VITALS):
        is_poor = slow & (vital == which)
        told = np.flatnonzero(is_poor | (tells & (rng.random(n) < MEASURED[which])))
        poor = is_poor[told]
        vague = poor & vaguely(rng, pages, told)
        better = rng.random(len(told)) < COULD_BE_BETTER
        value = np.select(
            [vague, poor, better],
            [
                rng.uniform(*_NEARLY[which], len(told)),
                rng.uniform(*_POOR[which], len(told)),
                rng.uniform(*_BETTER[which], len(told)),
            ],
            rng.uniform(*_GOOD[which], len(told)),
        ).round(0 if which < 2 else 4)
        # The largest paint is told when it has come, the others when the page has been used for a while.
        after_ms = value + 20 if which == 0 else rng.integers(300, 1_500, len(told))
        blocks.append(
            happenings(
                told,
                _MOMENTS[which],
                "web_vital",
                np.asarray(after_ms).astype(np.int64),
                metric=metric,
                value=value,
                planted=strings([None, "slow_page"], poor.astype(np.int64)),
                vague=vague,
                measure=value,
            )
        )
    return blocks


def errors(rng: np.random.Generator, pages: pl.DataFrame) -> list[pl.DataFrame]:
    """Planted errors, half of the page and half of its interface (an app has only the latter), redirects that a tool reported, noise."""
    n = pages.height
    planted = pages["page_error"].to_numpy()
    is_app = (pages["device_name"] == "app").to_numpy()
    is_api = is_app | (rng.random(n) < 0.5)
    redirected = np.flatnonzero(~planted & (rng.random(n) < REDIRECTS))
    unnoticed = np.flatnonzero(~planted & ~is_app & ~pages["is_bot"].to_numpy() & (rng.random(n) < UNNOTICED))
    js, api = np.flatnonzero(planted & ~is_api), np.flatnonzero(planted & is_api)
    return [
        happenings(
            js,
            Moment.FAILED,
            "js_error",
            rng.integers(200, 4_000, len(js)),
            message=strings(JS_MESSAGES, rng.integers(0, len(JS_MESSAGES), len(js))),
            planted="page_error",
        ),
        happenings(
            api,
            Moment.FAILED,
            "api_error",
            rng.integers(200, 4_000, len(api)),
            message=strings(_API_MESSAGES, rng.integers(0, len(_API_MESSAGES), len(api))),
            status=_STATUSES[rng.integers(0, len(_STATUSES), len(api))],
            planted="page_error",
        ),
        happenings(
            redirected, Moment.FAILED, "api_error", rng.integers(200, 2_000, len(redirected)), message="GET /api/home", status=302
        ),
        happenings(unnoticed, Moment.FAILED, "js_error", rng.integers(200, 2_000, len(unnoticed)), nth=1, message=HARMLESS),
    ]
