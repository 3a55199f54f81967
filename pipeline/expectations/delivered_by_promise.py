"""Delivered by the promised date: what was said at checkout holds."""

from pipeline.expectation import PARCEL_EVENT, Expectation

DELIVERED_BY_PROMISE = Expectation(
    name="delivered_by_promise",
    meaning="A parcel comes by the date that was promised.",
    key="parcel",
    after=(PARCEL_EVENT,),
    expect=("delivered",),
    unless=("order_cancelled", "returned_to_sender"),
    due="promised_at",
    journey="order",
    step="delivered",
    owner="carrier",
    source="The promise itself. Setting `promise_by` says whether it is kept until that time, or until the end of that day where the site is.",
)
