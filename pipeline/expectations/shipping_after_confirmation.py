"""Shipping after confirmation: the parcel leaves the house."""

from pipeline.expectation import DAY, Expectation

SHIPPING_AFTER_CONFIRMATION = Expectation(
    name="shipping_after_confirmation",
    meaning="A confirmed order is shipped.",
    after=("order_confirmed",),
    expect=("order_shipped", "delivered"),
    unless=("order_cancelled", "order_refunded"),
    within=2 * DAY,
    journey="order",
    step="shipped",
    owner="warehouse",
    source="Ours: two days of handling. No published default found.",
)
