"""Clicks of a hand on a screen of tiles: to a target, some clicks there at a pace of the moment, each a little beside the last, and on to the next.

They stand in for recorded clicks: no open data set that tells where and when people clicked could be had. What a rule makes of clicks depends on time, place
and element alone, and those are as uneven here as a hand is: calm looks, double clicks, bursts that slacken, a slip onto the neighbouring tile, a click whose place
nobody told.
"""

from itertools import count
from math import exp
from random import Random

from pipeline.definitions import Happening, happened

WIDTH_PX, HEIGHT_PX, TILE_PX = 1_280, 800, (160, 80)
PACES_MS = (120, 180, 260, 420, 900, 4_000)
"""Between two clicks, about; of one visit to a target."""
SHAKES_PX = (0.0, 2.0, 6.0, 25.0)
"""How far clicks lie beside each other, about: a mouse at rest, a hand, a thumb, an angry one."""


def clicks(seed: int, n: int) -> list[Happening]:
    """So many of one visitor, in order of time."""
    dice, at_ms, found = Random(seed), 0, list[Happening]()
    for _target in count():
        x, y = dice.uniform(0, WIDTH_PX), dice.uniform(0, HEIGHT_PX)
        pace_ms, shake_px = dice.choice(PACES_MS), dice.choice(SHAKES_PX)
        at_ms += round(600 * exp(dice.gauss(0, 0.8)))
        for nth in range(dice.choice((1, 1, 2, 3, 3, 4, 6, 9))):
            if len(found) == n:
                return found
            at_ms += round(pace_ms * exp(dice.gauss(0, 0.25))) if nth else 0
            x, y = (min(max(0.0, at + dice.gauss(0, shake_px)), most - 1) for at, most in ((x, WIDTH_PX), (y, HEIGHT_PX)))
            place = {} if dice.random() < 0.01 else {"x_px": int(x), "y_px": int(y)}
            tile = f"tile-{int(x) // TILE_PX[0]}-{int(y) // TILE_PX[1]}"
            found.append(happened("click", at_ms=at_ms, page="/gallery", element=tile, element_role="button", **place))
    raise AssertionError
