"""Tables of commerce: a document, and a parcel."""

import polars as pl

from pipeline.table import DELETED, SITE, TIME, WHO, Table, columns

CASES = Table(
    "cases",
    ("site", "order_id"),
    columns(
        (
            SITE,
            ("order_id", pl.String, "the document", ""),
            ("case_type", pl.String, "order, rfq, approval, onboarding, other", ""),
            ("parent_id", pl.String, "the document that it came from", ""),
            ("session_id", pl.String, "visit in which it began", ""),
            *WHO,
            ("journey", pl.String, "order, return, rfq, approval, onboarding, process", ""),
            ("step", pl.String, "furthest step reached of that journey", ""),
            (
                "status",
                pl.String,
                "open, delivered, cancelled, returned, sent_back, lost, accepted, rejected, expired, withdrawn, granted, completed",
                "",
            ),
            ("reason", pl.String, "last reason that was given", ""),
            ("opened_at", TIME, "first event", "UTC"),
            ("closed_at", TIME, "what its status says happened; null while it is open", "UTC"),
            ("cancelled_at", TIME, "cancelled or withdrawn", "UTC"),
            ("amount_minor", pl.Int64, "last known total", "minor units of currency"),
            ("refund_minor", pl.Int64, "paid back so far; null: nothing was", "minor units of currency"),
            ("currency", pl.String, "currency of both", "ISO 4217"),
            ("payment_method", pl.String, "how it is paid", ""),
            ("country", pl.String, "country of delivery", "ISO 3166-1 alpha-2"),
            ("carrier", pl.String, "carrier (the last)", ""),
            ("assignee_id", pl.String, "who had to act next, as said last", ""),
            ("due_at", TIME, "when the next step is due, as said last", "UTC"),
            ("quoted_at", TIME, "first quote", "UTC"),
            ("answered_at", TIME, "first answer to a quote", "UTC"),
            ("n_quotes", pl.UInt32, "quotes", "quotes"),
            ("promised_at", TIME, "delivery promised at checkout, else by the carrier", "UTC"),
            ("shipped_at", TIME, "first parcel left", "UTC"),
            ("first_scan_at", TIME, "first scan of a parcel", "UTC"),
            ("delivered_at", TIME, "the last parcel came; null while one is missing", "UTC"),
            ("late_ms", pl.Int64, "after the promise; negative: before it; null while undelivered", "ms"),
            ("is_late", pl.UInt8, "1: delivered after the promise, or not yet and the promise is past", "0 or 1"),
            ("n_parcels", pl.UInt32, "parcels", "parcels"),
            ("n_updates", pl.UInt32, "events of its parcels", "events"),
            ("longest_silence_ms", pl.Int64, "longest time without a scan between shipping and the last scan", "ms"),
            ("n_attempts_failed", pl.UInt32, "deliveries tried in vain", "attempts"),
            ("n_payment_failures", pl.UInt32, "payments that failed", "payments"),
            ("is_reorder", pl.UInt8, "1: an earlier order again", "0 or 1"),
            ("is_returned", pl.UInt8, "1: a return was asked for", "0 or 1"),
            ("n_signals", pl.UInt32, "friction signals that fired", "signals"),
            DELETED,
        )
    ),
    "one commerce document",
)

DELIVERIES = Table(
    "deliveries",
    ("site", "delivery_id"),
    columns(
        (
            SITE,
            ("delivery_id", pl.String, "parcel", ""),
            ("order_id", pl.String, "its order; '': none is known", ""),
            (
                "linked_by",
                pl.String,
                "who told its order: delivery, order; unlinked: nobody, for longer than one waits; '': nobody yet",
                "",
            ),
            ("customer_id", pl.String, "customer of the order", ""),
            ("carrier", pl.String, "carrier (the last)", ""),
            ("country", pl.String, "country of delivery", "ISO 3166-1 alpha-2"),
            ("shipped_at", TIME, "it left", "UTC"),
            ("first_scan_at", TIME, "first scan", "UTC"),
            ("promised_at", TIME, "delivery promised at checkout, else by the carrier", "UTC"),
            ("eta_at", TIME, "expected, as said last", "UTC"),
            ("n_eta_changes", pl.UInt32, "how often the date moved", "changes"),
            ("delivered_at", TIME, "it came", "UTC"),
            ("late_ms", pl.Int64, "after the promise; negative: before it; null while undelivered", "ms"),
            ("n_attempts_failed", pl.UInt32, "deliveries tried in vain", "attempts"),
            ("n_notified", pl.UInt32, "messages to the customer", "messages"),
            ("status", pl.String, "type of its last event that says where it is; delivered stays", ""),
            DELETED,
        )
    ),
    "one parcel",
)
