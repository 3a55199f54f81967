"""The terminal view, at every size."""

from dataclasses import replace
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
    pl.DataFrame({"journey": "shop", "step": STEPS, "reached": [90, 80, 30, 20, 12, 9, 4]}),
    pl.DataFrame(
        [("order", "shipped", "warehouse", 4, 2, 3, 1), ("shop", "cart", "shop", 2, 0, 0, 40), ("order", "delivered", "carrier", 0, 1, 5, 0),
         ("support", "opened", "support", 0, 0, 1, 0)],
        schema=["journey", "step", "owner", "silent", "contacted", "recovered", "provisional"], orient="row",
    ),
    pl.DataFrame({"signal": ["rage_click", "slow_page"], "n": [7, 2], "in_abandoned": [0.5, None]}),
    pl.DataFrame(
        {
            "left_at": [AT] * 8, "site": "atlantic", "visitor_id": [f"visitor-{number}" for number in range(8)], "step": "cart",
            "owner": "shop", "value_minor": [1_999, None] * 4, "currency": "EUR", "met": ["rage_click", ""] * 4,
        }
    ),
    pl.DataFrame(
        [("open", "critical", AT, "atlantic", "abandonment", "shop", "step = payment and device = mobile", 0.62, 0.31, "payments", "payment_failed"),
         ("resolved", "warning", AT, "atlantic", "lapse", "order", "", 0.2, 0.1, "carrier", "")],
        schema=["status", "severity", "opened_at", "site", "rule", "journey", "segment", "rate", "baseline_rate", "owner", "cause"], orient="row",
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
        "EUR 19.99",
        "nothing we saw",
        "50%",
        "expected, and did not come",
        "order/shipped",
        "warehouse",
    ):
        assert word in text


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (80, 30), (80, 50), (130, 30), (130, 46), (200, 60)])
def test_what_is_shown_fits_and_has_those_who_left(columns, lines):
    text = shown(LIVE, columns, lines)
    assert len(text.rstrip().splitlines()) <= lines
    assert "atlantic" in text
    assert "purchased" in text
    assert "order/shipped" in text
    assert all(len(line) <= columns for line in text.splitlines())


def test_what_became_of_what_was_expected_stands_beside_its_step_and_owner():
    lines = [line.strip("│ ").split() for line in shown(LIVE, 100).splitlines()]

    assert ["step", "owner", "silent", "contacted", "recovered", "undecided"] in lines
    assert ["order/shipped", "warehouse", "████████████", "4", "2", "3", "1"] in lines
    assert ["shop/cart", "shop", "███", "2", "-", "-", "40"] in lines
    assert ["support/opened", "support", "█", "-", "-", "1", "-"] in lines


def test_while_nothing_is_decided_the_bars_show_what_is_to_be():
    undecided = LIVE.lapses.with_columns(pl.lit(0).alias(name) for name in ("silent", "contacted", "recovered"))
    lines = [line.strip("│ ").split() for line in shown(replace(LIVE, lapses=undecided), 100).splitlines()]

    assert ["shop/cart", "shop", "████████████", "-", "-", "-", "40"] in lines


def test_a_store_without_lapses_shows_the_rest():
    text = shown(replace(LIVE, lapses=LIVE.lapses.clear(), signals=LIVE.signals.clear()), 80, 24)

    assert "did not come" not in text
    assert "atlantic" in text


def test_an_alert_says_what_rose_from_what_to_what_and_whose_it_is():
    lines = [line for line in shown(LIVE, 130).splitlines() if "abandonment" in line or "lapse: order" in line]

    said = " ".join(lines[0].strip("│ ").split())
    assert said == "02. 10:00 critical atlantic abandonment: step = payment and device = mobile 62.0% 31.0% payments payment failed"
    assert "resolved" in lines[1]
    assert "what rises" not in shown(replace(LIVE, alerts=LIVE.alerts.clear()))


def test_before_the_first_visitor_it_says_so():
    assert "waiting for the first visitors" in shown(None)
