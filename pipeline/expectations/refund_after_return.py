"""Refund after return: the money goes back."""

from pipeline.expectation import DAY, Expectation

REFUND_AFTER_RETURN = Expectation(
    name="refund_after_return",
    meaning="The money for what was sent back is paid back.",
    key="return",
    after=("return_received",),
    expect=("order_refunded",),
    within=14 * DAY,
    journey="return",
    step="refunded",
    owner="payments",
    source="Directive 2011/83/EU, article 13: within 14 days; the trader may wait for the goods.",
)
