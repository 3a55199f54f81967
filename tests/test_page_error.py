import pytest

from pipeline.definitions import happened
from pipeline.signal_engine import fired
from pipeline.signals.page_error import PAGE_ERROR, PageError
from tests.signal_frames import rows_of, window_of


def told(event_type, *, rule=None, **said):
    """What is said of one error."""
    return fired(window_of(rows_of([happened(event_type, at_ms=0, **said)])), [PAGE_ERROR.with_rule(**(rule or {}))]).to_dicts()


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (204, 0), (302, 0), (399, 0), (400, 1), (404, 1), (599, 1), (None, 1)])
def test_a_status_from_400_on_or_none_is_an_error(status, expected):
    assert len(told("api_error", status=status)) == expected


def test_a_script_that_breaks_has_no_status():
    """A status that an emitter sends all the same is not looked at."""
    assert [row["value"] for row in told("js_error", status=200)] == [None]


def test_what_counts_can_be_changed():
    assert told("api_error", status=404, rule={"lowest_status": 500}) == []
    assert told("api_error", rule={"without_status": False}) == []
    assert told("js_error", rule={"without_status": False})


@pytest.mark.parametrize(
    ("event_type", "said", "detail"),
    [
        ("js_error", {"message": "x is undefined"}, "js_error: x is undefined"),
        ("js_error", {}, "js_error"),
        ("api_error", {"status": 502, "message": "POST /api/cart"}, "api_error 502: POST /api/cart"),
        ("api_error", {"message": "m" * 500}, "api_error: " + "m" * 200),
    ],
)
def test_the_evidence_is_status_and_message(event_type, said, detail):
    assert [row["detail"] for row in told(event_type, **said)] == [detail]


@pytest.mark.parametrize("status", [99, 600])
def test_a_status_that_http_does_not_know_is_refused(status):
    with pytest.raises(ValueError, match="lowest_status must be from 100 to 599"):
        PageError(lowest_status=status)
