import math

import pytest

from pipeline.signal_engine import fired
from pipeline.signals.slow_page import SLOW_PAGE, SlowPage, vital
from tests.signal_frames import rows_of, window_of


def told(metric, value, **numbers):
    """What is said of one measurement."""
    return fired(window_of(rows_of(vital(metric, value))), [SLOW_PAGE.with_rule(**numbers)]).to_dicts()


@pytest.mark.parametrize(("metric", "border"), [("LCP", 4_000.0), ("INP", 500.0), ("CLS", 0.25)])
def test_poor_is_above_the_border(metric, border):
    assert told(metric, border) == []
    assert [row["value"] for row in told(metric, math.nextafter(border, math.inf))] == [math.nextafter(border, math.inf)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, -5.0])
def test_what_is_no_number_is_not_poor(value):
    assert all(told(metric, value) == [] for metric in ("LCP", "INP", "CLS"))


@pytest.mark.parametrize(
    ("metric", "value", "detail"),
    [("LCP", 5_200.9, "LCP 5200 ms"), ("INP", 700.0, "INP 700 ms"), ("CLS", 0.3619, "CLS 0.361"), ("CLS", 1.05, "CLS 1.050"), ("LCP", 1e300, "LCP 1000000000000000 ms")],
)  # fmt: skip
def test_the_evidence_names_vital_and_value(metric, value, detail):
    assert [(row["element"], row["value"], row["detail"]) for row in told(metric, value)] == [(metric, value, detail)]


def test_borders_can_be_moved():
    assert told("LCP", 3_000.0, lcp_ms=2_500.0)
    assert not told("CLS", 0.3, cls=0.5)


@pytest.mark.parametrize("numbers", [{"lcp_ms": -1.0}, {"inp_ms": math.nan}, {"cls": math.inf}])
def test_a_border_that_makes_no_sense_is_refused(numbers):
    with pytest.raises(ValueError, match="must be a number that is not negative"):
        SlowPage(**numbers)
