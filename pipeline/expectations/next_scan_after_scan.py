"""Next scan after scan: the parcel goes on moving."""

from pipeline.expectation import DAY, Expectation

NEXT_SCAN_AFTER_SCAN = Expectation(
    name="next_scan_after_scan",
    meaning="A parcel on its way is scanned again.",
    key="parcel",
    after=("in_transit", "out_for_delivery", "attempt_failed", "exception"),
    expect=(
        "in_transit",
        "out_for_delivery",
        "attempt_failed",
        "exception",
        "available_for_pickup",
        "delivered",
        "returned_to_sender",
    ),
    at_once=("expired",),
    within=3 * DAY,
    re_arm="latest",
    journey="order",
    step="delivered",
    owner="carrier",
    source="Ours: parcels within a country are scanned daily. Trackers wait 30 days (AfterShip `Expired`; TrackingMore 30 express, 60 postal): by then the customer has long given up.",
)
