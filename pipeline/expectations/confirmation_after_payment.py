"""Confirmation after payment: the shop says that it has the order."""

from pipeline.expectation import HOUR, Expectation

CONFIRMATION_AFTER_PAYMENT = Expectation(
    name="confirmation_after_payment",
    meaning="A paid order is confirmed.",
    after=("payment_authorized",),
    expect=("order_confirmed", "order_shipped"),
    unless=("order_cancelled", "order_refunded"),
    within=HOUR,
    journey="order",
    step="confirmed",
    owner="shop",
    source="Ours: confirmations are sent by machines within minutes; after an hour the customer asks himself whether it worked.",
)
