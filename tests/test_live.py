"""What the terminal view reads of a store."""

from sinks.live import look
from tests.builders import clock
from tests.stores import rows_of

LEFT = {
    "expectation": "order_after_commit",
    "journey": "shop",
    "step": "cart",
    "owner": "shop",
    "visitor_id": "ann",
    "session_id": "s1",
}
SHIPPING = {
    "expectation": "shipping_after_confirmation",
    "journey": "order",
    "step": "shipped",
    "owner": "warehouse",
    "order_id": "o1",
}
TABLES = {
    "outcomes": [
        {**LEFT, "outcome_id": "1", "status": "provisional", "lapsed_at": clock("10:00")},
        {**LEFT, "outcome_id": "2", "status": "recovered", "lapsed_at": clock("11:00"), "session_id": "s2"},
        {**SHIPPING, "outcome_id": "3", "status": "silent", "lapsed_at": clock("12:00"), "visitor_id": "ann", "session_id": "s3"},
        {**SHIPPING, "outcome_id": "4", "status": "contacted", "lapsed_at": clock("12:00")},
    ],
    "signals": [
        {"signal": "rage_click", "signal_id": "1", "visitor_id": "ann", "session_id": "s1", "weight": 20.0},
        {"signal": "rage_click", "signal_id": "2", "visitor_id": "ann", "session_id": "s3", "weight": 20.0},
        {"signal": "eta_slip", "signal_id": "3", "order_id": "o1", "weight": 20.0},
    ],
    "alerts": [
        {"alert_id": "1", "status": "resolved", "opened_at": clock("12:00"), "updated_at": clock("12:00")},
        {"alert_id": "2", "status": "open", "severity": "warning", "opened_at": clock("11:00"), "updated_at": clock("12:00")},
        {"alert_id": "3", "status": "open", "severity": "critical", "opened_at": clock("10:00"), "updated_at": clock("12:00")},
    ],
}


def test_what_became_of_lapses_is_counted_by_step_and_owner_and_only_a_visit_is_left(store):
    """An order that is late is a lapse as well; nobody has left by it."""
    with store.open() as opened:
        for name, rows in TABLES.items():
            opened.write(name, rows_of(name, *rows), token="first")
        live = look(opened.query, store.database)

    assert live.lapses.rows() == [("order", "shipped", "warehouse", 1, 1, 0, 0), ("shop", "cart", "shop", 0, 0, 1, 1)]
    assert live.signals.rows() == [("rage_click", 2, 0.5), ("eta_slip", 1, None)]
    assert live.alerts["opened_at"].to_list() == [clock("10:00"), clock("11:00"), clock("12:00")]  # critical, open, over
    assert live.left.select("left_at", "step", "met").rows() == [(clock("10:00"), "cart", "rage_click")]
