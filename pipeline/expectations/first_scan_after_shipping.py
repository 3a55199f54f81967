"""First scan after shipping: the carrier really has it."""

from pipeline.expectation import DAY, Expectation

FIRST_SCAN_AFTER_SHIPPING = Expectation(
    name="first_scan_after_shipping",
    meaning="A parcel that was shipped is scanned.",
    key="parcel",
    after=("order_shipped",),
    expect=(
        "in_transit",
        "out_for_delivery",
        "attempt_failed",
        "available_for_pickup",
        "delivered",
        "exception",
        "returned_to_sender",
    ),
    unless=("order_cancelled",),
    at_once=("expired",),
    within=2 * DAY,
    journey="order",
    step="scanned",
    owner="carrier",
    source="Ours: a label without a scan after two days is a parcel that nobody has picked up. Trackers wait 30 days before they call a parcel expired (AfterShip, TrackingMore).",
)
