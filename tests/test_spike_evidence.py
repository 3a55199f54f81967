"""What stands beside an alert: which signal is its cause."""

import polars as pl
import pytest

from pipeline.nested_segments import Evidence
from pipeline.spike_alerts import Alert
from pipeline.spike_counts import IDENTITY, LAPSE, Family
from pipeline.spike_evidence import KEPT_EXAMPLES, RAISED, told_of

HOUR_MS = 3_600_000
WAIT = ("order", "next_scan_after_scan", "", "delivered", "", "", "")


def alert(wait=WAIT):
    return Alert.opened(
        Family("shop.example", LAPSE, wait[1], 3_600), Evidence(wait, 0, 1, 60, 200, 10.0, 1e-9, 0.0, (0.0, 0.0)), HOUR_MS
    )


def rose(signal, n, n_of, expected, journey="order"):
    segment = dict.fromkeys(IDENTITY, "") | {"journey": journey, "signal": signal}
    return {"site": "shop.example", **segment, "from_ms": 0, "to_ms": HOUR_MS, "n": n, "n_of": n_of, "expected": expected}


def cause(*rows, of=WAIT):
    raised = pl.DataFrame(rows, schema=RAISED)
    return told_of(alert(of), raised, KEPT_EXAMPLES.to_frame(), 0).cause


@pytest.mark.parametrize(
    ("n", "expected", "is_cause"),
    [
        pytest.param(1, 0.01, False, id="once"),
        pytest.param(3, 0.25, False, id="thrice in an hour: happens once in 500 hours"),
        pytest.param(9, 0.25, True, id="nine times: never happens"),
        pytest.param(60, 30, True, id="often"),
    ],
)
def test_what_was_met_a_few_times_where_it_is_rare_is_no_cause(n, expected, is_cause):
    assert cause(rose("ticket_escalated", n, 16, expected)) == ("ticket_escalated" if is_cause else "")


def test_what_rose_in_another_journey_is_no_cause():
    assert cause(rose("option_flipping", 60, 400, 10, journey="shop")) == ""
    assert cause(rose("option_flipping", 60, 400, 10, journey="shop"), rose("eta_slip", 20, 400, 4)) == "eta_slip"


def test_a_signal_of_tickets_is_told_where_they_came_from_and_may_be_why_nobody_replied():
    left = rose("left_queue", 60, 400, 10, journey="shop")
    assert cause(left) == ""
    assert cause(left, of=("support", "first_reply_after_ticket", "", "replied", "", "", "")) == "left_queue"
