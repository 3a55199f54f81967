"""Answer after quote: the customer says yes or no."""

from pipeline.expectation import CUSTOMER_SILENCE, DAY, Expectation

ANSWER_AFTER_QUOTE = Expectation(
    name="answer_after_quote",
    meaning="A quote is accepted or rejected; a no is an answer.",
    after=("quote_received",),
    expect=("quote_accepted", "quote_rejected"),
    unless=("rfq_withdrawn", "order_cancelled"),
    at_once=("quote_expired",),
    within=14 * DAY,
    due="due_at",
    re_arm="latest",
    journey="rfq",
    step="answered",
    owner="customer",
    silence=CUSTOMER_SILENCE,
    source="The `due_at` of the latest quote, or its expiry; else two weeks. No published default found.",
)
