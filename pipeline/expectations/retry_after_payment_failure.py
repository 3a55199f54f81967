"""Retry after payment failure: who could not pay tries again."""

from pipeline.expectation import CUSTOMER_SILENCE, HOUR, Expectation

RETRY_AFTER_PAYMENT_FAILURE = Expectation(
    name="retry_after_payment_failure",
    meaning="A customer whose payment failed tries again.",
    after=("payment_failed",),
    expect=("payment_authorized", "payment_failed"),
    unless=("order_cancelled",),
    within=24 * HOUR,
    re_arm="latest",
    journey="order",
    step="paid",
    owner="payments",
    silence=CUSTOMER_SILENCE,
    source="Ours, for no product publishes a number: who still wants the goods tries again within the day.",
)
