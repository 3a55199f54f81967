"""Rows of `cases` and `deliveries`: what there is to say of documents and their parcels.

Frames:  CaseLog -> rows of frames.CASES, frames.DELIVERIES, with `partition`
Cases:   several events say a customer, a country ... -> the first | a total, a carrier, a due time -> the last
         a parcel alone has a row in `deliveries` and none in `cases`
"""

import numpy as np
import polars as pl

from pipeline.case_journeys import case_types, furthest, status_rows, statuses
from pipeline.case_log import CaseLog
from pipeline.frames import TIME
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.groups import NEVER, Mask, Millis, Places, at, told_ms
from pipeline.waits import kept_until
from pipeline.watermark import milliseconds

_FIRST = ("parent_id", "cart_id", "session_id", "visitor_id", "customer_id", "account_id", "currency", "country")
_LAST = ("payment_method", "carrier", "assignee_id", "reason")


def is_document(log: CaseLog) -> Mask:
    """Which cases are documents, and no parcels alone."""
    return log.known["order_id"].is_not_null().to_numpy()


def people(log: CaseLog) -> pl.DataFrame:
    """Whose each case is: `partition`, `site`, `order_id` and what its events say first."""
    who = log.words({name: log.cases.first(log.has(name)) for name in _FIRST})
    return log.known.select("partition", "site", "order_id").hstack(who)


def cases(log: CaseLog, who: pl.DataFrame, steps: pl.DataFrame, n_signals: Places, rules: FulfilmentRules) -> pl.DataFrame:
    """Frames: -> rows of frames.CASES and facts.BESIDE."""
    types, status = case_types(log), status_rows(log)
    place = furthest(log, types, steps)
    said = statuses(log, status)
    promised = promised_ms(log)
    until = kept_until(log, rules, np.arange(log.n), promised)
    delivered = _delivered(log)
    late = np.where((delivered != NEVER) & (until != NEVER), delivered - until, NEVER)
    is_over = said.is_in(["cancelled", "returned"]).to_numpy()
    is_late = np.where(delivered != NEVER, (late != NEVER) & (late > 0), (until != NEVER) & (log.now_ms > until) & ~is_over)
    last = log.words({name: log.cases.last(log.has(name)) for name in _LAST})
    refunds = log.has("refund_minor")
    has_refund = log.cases.count(refunds) > 0
    refunded = np.where(has_refund, log.cases.total(refunds, log.number("refund_minor")), NEVER)
    rows = who.hstack(
        [
            types,
            place["journey"],
            place["step"],
            said,
            *last.get_columns(),
            _time("opened_at", log, log.cases.first(log.every)),
            _time("closed_at", log, np.where(said.to_numpy() == "open", -1, status)),
            _time("cancelled_at", log, log.cases.first(log.is_of(("order_cancelled", "rfq_withdrawn", "approval_withdrawn")))),
            told_ms("amount_minor", at(log.number("amount_minor"), log.cases.last(log.has("amount_minor")))),
            told_ms("refund_minor", refunded),
            told_ms("due_at", at(log.number("due_at"), log.cases.last(log.has("due_at")))).cast(TIME),
            _time("quoted_at", log, log.cases.first(log.is_of(_QUOTES))),
            _time("answered_at", log, log.cases.first(log.is_of(("quote_accepted", "quote_rejected")))),
            pl.Series("n_quotes", log.cases.count(log.is_of(_QUOTES)), pl.UInt32),
            told_ms("promised_at", promised).cast(TIME),
            _time("shipped_at", log, log.cases.first(log.is_of(("order_shipped",)))),
            _time("first_scan_at", log, log.cases.first(log.is_scan)),
            told_ms("delivered_at", delivered).cast(TIME),
            told_ms("late_ms", late),
            pl.Series("is_late", is_late.astype(np.uint8)),
            pl.Series("n_parcels", np.bincount(log.case_of_parcel, minlength=log.n), pl.UInt32),
            pl.Series("n_updates", log.cases.count(log.is_carriers), pl.UInt32),
            told_ms("longest_silence_ms", _longest_silence(log)),
            pl.Series("n_attempts_failed", log.cases.count(log.is_of(("attempt_failed",))), pl.UInt32),
            pl.Series("n_payment_failures", log.cases.count(log.is_of(("payment_failed",))), pl.UInt32),
            pl.Series("is_reorder", _flag(log, "is_reorder"), pl.UInt8),
            pl.Series("is_returned", (log.cases.first(log.is_of(("return_requested",))) >= 0).astype(np.uint8)),
            pl.Series("n_signals", n_signals, pl.UInt32),
            _time("placed_at", log, log.cases.first(log.is_of(("order_placed",)))),
        ]
    )
    return rows.filter(pl.Series(is_document(log)))


_QUOTES = ("quote_received", "bulk_price_offered")


def deliveries(log: CaseLog, who: pl.DataFrame, rules: FulfilmentRules) -> pl.DataFrame:
    """Frames: -> rows of frames.DELIVERIES."""
    case, parcels = log.case_of_parcel, log.parcels
    until = kept_until(log, rules, case, log.promise_of_parcel)
    late = np.where((log.delivered != NEVER) & (until != NEVER), log.delivered - until, NEVER)
    shipped, scan = parcels.first(log.is_of(("order_shipped",))), parcels.first(log.is_scan)
    eta = parcels.last(log.has("eta_at"))
    where = parcels.last(log.is_scan | log.is_of(("info_received", "expired", "order_shipped")))
    where = np.where(log.delivered != NEVER, parcels.first(log.is_of(("delivered",))), where)
    of_case = who[case]
    country = log.word("country", parcels.first(log.has("country")))
    return pl.DataFrame(
        [
            of_case["partition"],
            of_case["site"],
            log.word("delivery_id", log.parcel_begins),
            of_case["order_id"],
            linked_by(log, rules),
            of_case["customer_id"],
            log.word("carrier", parcels.last(log.has("carrier"))),
            pl.select(pl.coalesce(country, of_case["country"]).alias("country")).to_series(),
            _time("shipped_at", log, shipped),
            _time("first_scan_at", log, scan),
            told_ms("promised_at", log.promise_of_parcel).cast(TIME),
            told_ms("eta_at", at(log.number("eta_at"), eta)).cast(TIME),
            pl.Series("n_eta_changes", parcels.count(log.date_moved), pl.UInt32),
            told_ms("delivered_at", log.delivered).cast(TIME),
            told_ms("late_ms", late),
            pl.Series("n_attempts_failed", parcels.count(log.is_of(("attempt_failed",))), pl.UInt32),
            pl.Series("n_notified", parcels.count(log.is_of(("customer_notified",))), pl.UInt32),
            log.word("event_type", where).replace("order_shipped", "shipped").alias("status"),
        ]
    )


def linked_by(log: CaseLog, rules: FulfilmentRules) -> pl.Series:
    """Who told the order of each parcel first."""
    knows = log.events["knows_order"].to_numpy()
    told = log.parcels.first(knows)
    by_carrier = log.is_carriers[told] if len(told) else np.zeros(0, dtype=bool)
    begins_ms = log.ms[log.parcel_begins]
    is_given_up = log.now_ms[log.case_of_parcel] > begins_ms + milliseconds(rules.link_horizon)
    said = np.select([(told >= 0) & by_carrier, told >= 0, is_given_up], ["delivery", "order", "unlinked"], "")
    return pl.Series("linked_by", said.tolist(), pl.String)


def unlinked_ms(log: CaseLog, rules: FulfilmentRules) -> tuple[Places, Millis]:
    """Cases that are parcels alone, and when each is given up."""
    alone = np.flatnonzero(~is_document(log)[log.case_of_parcel])
    return log.case_of_parcel[alone], log.ms[log.parcel_begins[alone]] + milliseconds(rules.link_horizon)


def promised_ms(log: CaseLog) -> Millis:
    """When each case is promised for: as the order said, else its parcel that was promised last."""
    of_parcels = np.full(log.n, -1, dtype=np.int64)
    said = log.promise_of_parcel != NEVER
    np.maximum.at(of_parcels, log.case_of_parcel[said], log.promise_of_parcel[said])
    return np.where(log.promise_of_case != NEVER, log.promise_of_case, np.where(of_parcels >= 0, of_parcels, NEVER))


def _delivered(log: CaseLog) -> Millis:
    """When the last parcel of each case came; NEVER while one is missing."""
    last = np.full(log.n, -1, dtype=np.int64)
    np.maximum.at(last, log.case_of_parcel, log.delivered)
    return np.where(last >= 0, last, NEVER)


def _longest_silence(log: CaseLog) -> Millis:
    """The longest time between two neighbours of: shipped, and the scans up to the delivery; of all parcels of a case."""
    rows = np.flatnonzero((log.is_scan | log.is_of(("order_shipped",))) & (log.parcel >= 0))
    rows = rows[log.ms[rows] <= log.delivered[log.parcel[rows]]]
    rows = rows[np.argsort(log.parcel[rows], kind="stable")]
    longest = np.full(log.n, -1, dtype=np.int64)
    if len(rows) > 1:
        before, after = rows[:-1], rows[1:]
        is_same = log.parcel[before] == log.parcel[after]
        np.maximum.at(longest, log.case[after[is_same]], (log.ms[after] - log.ms[before])[is_same])
    return np.where(longest >= 0, longest, NEVER)


def _flag(log: CaseLog, name: str) -> Places:
    is_so = log.events[name].fill_null(value=False).to_numpy()
    return (log.cases.first(is_so) >= 0).astype(np.int64)


def _time(name: str, log: CaseLog, places: Places) -> pl.Series:
    return told_ms(name, at(log.ms, places)).cast(TIME)
