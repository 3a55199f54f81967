"""What really happened to orders, requests, approvals and onboardings, in support, and to the customers: the truth beside the events.

Frames:  CASES, INCIDENTS, CONTACTS, CUSTOMERS
"""

import polars as pl

from pipeline.simulator.columns import TIME, schema

CASES = schema(
    {
        "case_id": pl.String, "document_type": pl.String, "site": pl.String, "visit_id": pl.String, "visitor_id": pl.String,
        "customer_id": pl.String, "account_id": pl.String, "parent_id": pl.String, "began_at": TIME, "promised_at": TIME,
        "delivered_at": TIME, "ended_at": TIME, "outcome": pl.String, "met": pl.List(pl.String), "waited": pl.List(pl.String),
        "n_contacts": pl.Int64, "left": pl.Boolean, "left_at_journey": pl.String, "left_at_step": pl.String, "because": pl.String,
        "chance": pl.Float64, "shock": pl.String, "n_events": pl.Int64,
    }
)  # fmt: skip
"""A row an order, a request, an approval, an onboarding, told once it is over. `visit_id`: the visit that it began with. `outcome`: how it ended. `met`: frictions met,
first met first; `waited`: what was waited for in vain, or too long. `left`: the customer never comes back; `left_at_journey`, `left_at_step`, `because`: where and
why, a kind or 'no_reason', '' for who stays; `chance`: the probability that `because` had. `shock`: what went wrong for everybody, else ''. `n_events`: of orders and
deliveries."""

INCIDENTS = schema(
    {
        "case_id": pl.String, "ticket_id": pl.String, "family": pl.String, "site": pl.String, "customer_id": pl.String, "visitor_id": pl.String,
        "kind": pl.String, "at": TIME, "event_id": pl.String, "made_leave": pl.Boolean, "is_clear": pl.Boolean, "measure": pl.Float64,
    }
)  # fmt: skip
"""A row a friction met in an order, a delivery or with support. `case_id`: null where it belongs to none. `event_id`: the event that shows it. The others as in
truth.FRICTIONS."""

CONTACTS = schema(
    {
        "ticket_id": pl.String, "site": pl.String, "visit_id": pl.String, "case_id": pl.String, "customer_id": pl.String, "visitor_id": pl.String,
        "about": pl.String, "topic": pl.String, "journey": pl.String, "step": pl.String, "channel": pl.String, "nth": pl.Int64,
        "opened_at": TIME, "replied_at": TIME, "solved_at": TIME, "is_service_good": pl.Boolean, "has_left": pl.Boolean, "shock": pl.String,
        "n_events": pl.Int64,
    }
)  # fmt: skip
"""A row a ticket. `about`: the friction or the wait that made the customer write, else 'how_to'. `is_service_good`: drawn whatever happened before."""

CUSTOMERS = schema(
    {
        "site": pl.String, "customer_id": pl.String, "visitor_id": pl.String, "account_id": pl.String, "decided_at": TIME, "case_id": pl.String,
        "n_visits": pl.Int64, "n_orders": pl.Int64, "n_contacts": pl.Int64, "left": pl.Boolean, "journey": pl.String, "step": pl.String,
        "because": pl.String, "chance": pl.Float64, "came_back_at": TIME,
    }
)  # fmt: skip
"""A row a decision of a customer to stay or to leave for good, taken when an order or a process is over. `n_visits`, `n_orders`, `n_contacts`: up to then.
`came_back_at`: when the next visit begins of who stays, by the customer's own rhythm."""

LEAVE = {
    "payment_declined_twice": 0.30, "eta_slip": 0.12, "failed_attempt": 0.06, "delivery_exception": 0.15, "return_soon": 0.10,
    "late_delivery": 0.15, "lost_parcel": 0.50, "slow_quote": 0.35, "slow_approval": 0.20, "stalled_onboarding": 0.60,
    "repeat_contact": 0.15, "reopened": 0.15, "transferred": 0.08, "escalated": 0.10, "left_queue": 0.15,
}  # fmt: skip
"""Probability that who meets it, or waits so, never comes back because of it. Each is drawn by itself; the earliest that says so is the cause."""
LEAVE_FOR_NO_REASON = 0.25
"""Of those whom nothing made leave."""

WAITS = ("late_delivery", "lost_parcel", "slow_quote", "slow_approval", "stalled_onboarding")
"""What is waited for in vain or too long: no friction, the absence of something good."""
CASE_KINDS = (
    "payment_declined_twice", "eta_slip", "failed_attempt", "delivery_exception", "return_soon", "repeat_contact", "reopened", "transferred",
    "escalated", "left_queue", "low_csat", "low_nps", "negative_words", "howto_contact",
)  # fmt: skip
"""Kinds of friction in orders, deliveries and with support."""

PLACES = {
    "payment_declined_twice": ("order", "paid"), "eta_slip": ("order", "delivered"), "failed_attempt": ("order", "delivered"),
    "delivery_exception": ("order", "delivered"), "late_delivery": ("order", "delivered"), "lost_parcel": ("order", "delivered"),
    "return_soon": ("return", "requested"), "slow_quote": ("rfq", "quoted"), "slow_approval": ("approval", "decided"),
    "stalled_onboarding": ("onboarding", "completed"), "repeat_contact": ("support", "opened"), "reopened": ("support", "solved"),
    "transferred": ("support", "replied"), "escalated": ("support", "replied"), "left_queue": ("support", "replied"),
}  # fmt: skip
"""Journey and step of each cause."""
