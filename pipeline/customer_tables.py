"""Table of customers: what one of them has been through."""

import polars as pl

from pipeline.table import DELETED, SITE, TIME, Table, columns

CUSTOMERS = Table(
    "customers",
    ("site", "customer_id"),
    columns(
        (
            SITE,
            ("customer_id", pl.String, "known person", ""),
            ("account_id", pl.String, "company of a B2B customer, as said last", ""),
            ("first_seen_at", TIME, "first visit, order, contact or answer; null: only support has written", "UTC"),
            ("last_seen_at", TIME, "the last of them", "UTC"),
            ("n_sessions", pl.UInt32, "visits", "visits"),
            ("n_orders", pl.UInt32, "orders that were not cancelled", "orders"),
            ("n_order_days", pl.UInt32, "days of the site on which they were placed", "days"),
            ("n_contacts", pl.UInt32, "tickets in which the customer spoke", "tickets"),
            ("n_lapses", pl.UInt32, "expectations that lapsed, whatever came of it", "lapses"),
            ("n_silent", pl.UInt32, "of these, those that nobody spoke of and that never came", "lapses"),
            ("n_late_deliveries", pl.UInt32, "orders that came late, or are late", "orders"),
            ("first_order_at", TIME, "first order", "UTC"),
            ("second_order_at", TIME, "second order", "UTC"),
            ("last_order_at", TIME, "last order", "UTC"),
            ("median_days_between_orders", pl.Float64, "median time from one order to the next; null: fewer than two", "days"),
            ("is_repeat", pl.UInt8, "1: orders on two or more days", "0 or 1"),
            ("nps", pl.Int64, "how likely to recommend, as answered last", "points, 0..10"),
            (
                "loyalty_state",
                pl.String,
                "new, active, at_risk (most of the wait for the next order is over), lapsed (all of it), returned (after a lapse)",
                "",
            ),
            ("spent_minor", pl.Int64, "orders less what was paid back, in the currency of the last one", "minor units of currency"),
            ("currency", pl.String, "currency of the last order", "ISO 4217"),
            DELETED,
        )
    ),
    "what one customer has been through",
)
