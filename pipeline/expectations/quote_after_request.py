"""Quote after request: a company that asks for a price gets one."""

from pipeline.expectation import DAY, Expectation

QUOTE_AFTER_REQUEST = Expectation(
    name="quote_after_request",
    meaning="A request for quotation is answered with a quote.",
    after=("rfq_submitted",),
    expect=("quote_received",),
    unless=("rfq_withdrawn", "order_cancelled"),
    within=2 * DAY,
    due="due_at",
    journey="rfq",
    step="quoted",
    owner="sales",
    source="The `due_at` of the request; else two days. No published default found.",
)
