"""Shocks in simulated shops, from their events through all folds: how soon each is told, where first, because of what first; and what is told of where all is well.

A fresh seed every time, printed; `EBBTIDE_SEED` repeats one.
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from agents.settings import Settings
from agents.spike_settings import SpikeSettings
from pipeline.simulator.arrivals import HOUR_MS
from pipeline.simulator.obstacles import OBSTACLES
from pipeline.simulator.scenarios import Shock
from tests.shocked_shops import ShockedShop, Tells, tell, what
from tests.simulated_shop import drawn_seed

FATAL_PAYMENT = tuple(replace(each, makes_leave=0.6) if each.kind == "payment_failed" else each for each in OBSTACLES)
"""Most of those whose payment fails go."""
EVERYWHERE = ""
ON_PHONES, ON_DESKTOPS = "device = mobile", "device = desktop"
PAYING_ON_PHONES = "step = payment and device = mobile"


def failing_payment(begins_h: float, visitors_per_day: float) -> ShockedShop:
    tells = {
        "payment errors on phones: friction": Tells(("friction payment_failed",), PAYING_ON_PHONES, "payment_failed"),
        "payment errors on phones: exits": Tells(("exits payment",), PAYING_ON_PHONES, "payment_failed"),
        "payment errors on phones: abandonment": Tells(("abandonment order_after_commit",), PAYING_ON_PHONES, "payment_failed"),
    }
    return ShockedShop(visitors_per_day, _page("payment_failed", begins_h, 0.9, "mobile"), tells, obstacles=FATAL_PAYMENT)


def broken_page(begins_h: float, visitors_per_day: float, device: str | None, segment: str, chance: float = 0.4) -> ShockedShop:
    tells = {"a page is broken": Tells(("friction page_error",), segment, "page_error")}
    return ShockedShop(visitors_per_day, _page("page_error", begins_h, chance, device), tells)


def slow_page(begins_h: float, visitors_per_day: float, device: str | None, segment: str) -> ShockedShop:
    tells = {"a page is slow": Tells(("friction slow_page",), segment, "slow_page")}
    return ShockedShop(visitors_per_day, _page("slow_page", begins_h, 0.5, device), tells)


def _page(obstacle: str, begins_h: float, chance: float, device: str | None) -> Shock:
    return Shock("shock", begins_ms=int(begins_h * HOUR_MS), lasts_ms=4 * HOUR_MS, obstacle=obstacle, chance=chance, device=device)


def show(
    capsys: pytest.CaptureFixture[str], seed: int, shops: Sequence[ShockedShop], n_events: int, days: float
) -> dict[str, list[float]]:
    """Print what was found; the minutes of each kind, and `right segment` and `right cause`: 1 or 0 of each that was told."""
    n_false = sum(len(shop.false) for shop in shops)
    title = f"seed {seed}: {n_events:,} events of {len(shops)} shops; {n_false} alerts in {days * len(shops):.0f} days of shops where all was well"
    drawn, found = Table(title=title, title_justify="left"), dict[str, list[float]]()
    for name in ("shock", "n", "told", "median", "p95", "right segment first", "right cause first"):
        drawn.add_column(name)
    for kind in dict.fromkeys(kind for shop in shops for kind in shop.tells):
        its = [(shop, shop.tells[kind], shop.first(shop.tells[kind])) for shop in shops if kind in shop.tells]
        told = [(shop, tells, first) for shop, tells, first in its if first is not None]
        took = [(first["told_at"] - shop.begins_at) / timedelta(minutes=1) for shop, _, first in told]
        is_there = [float(first["segment"] == tells.segment) for _, tells, first in told]
        is_why = [float(first["cause"] == tells.cause) for _, tells, first in told if tells.cause]
        found[kind] = took
        found.setdefault("right segment", []).extend(is_there)
        found.setdefault("right cause", []).extend(is_why)
        times = (_span(statistics.median(took)), _span(float(np.quantile(took, 0.95)))) if took else ("", "")
        drawn.add_row(
            kind,
            str(len(its)),
            str(len(told)),
            *times,
            *(f"{statistics.mean(each):.2f}" if each else "" for each in (is_there, is_why)),
        )
    with capsys.disabled():
        console = Console(width=170, highlight=False)
        console.print("", drawn)
        for shop in shops:
            for row in shop.alerts:
                after = (row["told_at"] - shop.begins_at) / timedelta(minutes=1)
                console.print(
                    f"  {'false: ' if row in shop.false else ''}{after:.0f} min, {what(row)}: {row['summary']}", markup=False
                )
    found["false"] = [float(len(shop.false)) for shop in shops]
    return found


def _span(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes < 600 else f"{minutes / 60:.0f} h"


def test_a_page_that_breaks_is_told_within_the_hour_and_a_half(capsys):
    """The short form: one shop, half a day of history, clicks alone."""
    seed = drawn_seed()
    shops = [broken_page(13, 2_000, None, EVERYWHERE, chance=0.8)]
    settings = Settings(spikes=SpikeSettings(history_h=12))
    n = tell(
        seed, shops, settings, calm=timedelta(hours=12), until=timedelta(hours=14.5), every=timedelta(minutes=30), only_visits=True
    )
    found = show(capsys, seed, shops, n, 0.5)

    assert len(found["a page is broken"]) == 1
    assert found["right cause"] == [1.0]


@pytest.mark.bench
@pytest.mark.timeout(3_000)
def test_what_breaks_on_the_page_is_told_soon_where_it_is_and_because_of_what(capsys):
    """Three days of history and the default settings; clicks alone, for the fold of visits counts all that is asked for."""
    seed = drawn_seed()
    begin = iter((80 + np.random.default_rng(seed).integers(0, 5 * 6, 6) / 6).tolist())
    shops = [
        *(failing_payment(next(begin), 20_000) for _ in range(2)),
        broken_page(next(begin), 5_000, None, EVERYWHERE),
        broken_page(next(begin), 5_000, "desktop", ON_DESKTOPS),
        slow_page(next(begin), 5_000, None, EVERYWHERE),
        slow_page(next(begin), 5_000, "mobile", ON_PHONES),
    ]
    n = tell(
        seed, shops, Settings(), calm=timedelta(hours=80), until=timedelta(hours=88), every=timedelta(minutes=10), only_visits=True
    )
    found = show(capsys, seed, shops, n, 3.4)

    assert sum(found["false"]) <= 1
    assert all(
        len(found[kind]) == n
        for kind, n in (("payment errors on phones: friction", 2), ("a page is broken", 2), ("a page is slow", 2))
    )
    assert (
        statistics.median(found["payment errors on phones: friction"] + found["a page is broken"] + found["a page is slow"]) <= 40
    )
    assert statistics.mean(found["right segment"]) >= 0.6
    assert statistics.mean(found["right cause"]) >= 0.8
