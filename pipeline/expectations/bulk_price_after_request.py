"""Bulk price after request: a price for many is offered."""

from pipeline.expectation import DAY, Expectation

BULK_PRICE_AFTER_REQUEST = Expectation(
    name="bulk_price_after_request",
    meaning="A request for the price of many is answered.",
    after=("bulk_price_requested",),
    expect=("bulk_price_offered",),
    unless=("rfq_withdrawn", "order_cancelled"),
    within=2 * DAY,
    due="due_at",
    re_arm="latest",
    journey="rfq",
    step="quoted",
    owner="sales",
    source="The `due_at` of the request; else two days. No published default found.",
)
