"""What should happen: one file an expectation, and here all of them.

An expectation is its file, `pipeline/expectations/{name}.py` with `{NAME} = Expectation(...)`, and its line in `NAMES`.
"""

from importlib import import_module

from pipeline.expectation import CASE_KEYS, Expectation

NAMES = (
    "retry_after_payment_failure",
    "confirmation_after_payment",
    "shipping_after_confirmation",
    "first_scan_after_shipping",
    "next_scan_after_scan",
    "delivered_by_promise",
    "notice_of_moved_date",
    "refund_after_return",
    "quote_after_request",
    "answer_after_quote",
    "bulk_price_after_request",
    "decision_after_approval_request",
    "next_onboarding_step",
    "completion_after_step_started",
    "first_reply_after_ticket",
    "first_human_reply_after_ticket",
    "solution_after_ticket",
    "next_order",
)
"""Every expectation by its file, in the order of the journeys."""

CATALOGUE: tuple[Expectation, ...] = tuple(getattr(import_module(f"{__name__}.{name}"), name.upper()) for name in NAMES)

EXPECTATIONS = tuple(each for each in CATALOGUE if each.key in CASE_KEYS)
"""Of a commerce document: what the fold by order waits for."""
OF_TICKETS = tuple(each for each in CATALOGUE if each.key == "ticket")
"""Of a contact with support."""
OF_PERSONS = tuple(each for each in CATALOGUE if each.key == "person")
"""Of a customer as such."""
