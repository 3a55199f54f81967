"""The terminal view, at every size."""

from datetime import UTC, datetime

import polars as pl
import pytest
from rich.console import Console

from agents.screen import Pulse, drawn
from pipeline.journey_map import DEFAULT_JOURNEYS, SHOP
from sinks.live import Live

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
PULSE = Pulse(1_234.5, 10_000, AT, 60.0, 0)
STEPS = [step.name for step in SHOP.steps]
LIVE = Live(
    {"open": 5, "abandoned": 3, "converted": 1},
    pl.DataFrame({"journey": "shop", "step": STEPS, "reached": [90, 80, 30, 20, 12, 9, 4], "abandoned": [0, 0, 2, 1, 0, 0, 0]}),
    pl.DataFrame({"signal": ["rage_click", "slow_page"], "n": [7, 2], "in_abandoned": [0.5, 0.25]}),
    pl.DataFrame(
        {
            "left_at": [AT] * 8, "site": "atlantic", "visitor_id": [f"visitor-{number}" for number in range(8)], "step": "cart",
            "owner": "shop", "value_minor": [1_999, None] * 4, "currency": "EUR", "met": ["rage_click", ""] * 4,
        }
    ),
)  # fmt: skip


def shown(live, columns=120, lines=None):
    console = Console(width=columns, record=True, file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115, PTH123 - closed with the process
    with console.file:
        console.print(drawn(live, PULSE, DEFAULT_JOURNEYS, None if lines is None else (columns, lines)))
        return console.export_text()


def test_the_whole_view_has_everything():
    text = shown(LIVE)
    for word in (
        "1,234",
        "journey",
        "payments",
        "rage click",
        "left without a word",
        "19.99 EUR",
        "nothing we saw",
        "50%",
        "abandoned, by the step",
    ):
        assert word in text


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (80, 30), (80, 50), (130, 30), (130, 46), (200, 60)])
def test_what_is_shown_fits_and_has_those_who_left(columns, lines):
    text = shown(LIVE, columns, lines)
    assert len(text.rstrip().splitlines()) <= lines
    assert "atlantic" in text
    assert "purchased" in text


def test_before_the_first_visitor_it_says_so():
    assert "waiting for the first visitors" in shown(None)
