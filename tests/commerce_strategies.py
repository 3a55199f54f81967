"""Documents and parcels made to stand on every edge of the rules of the fold by order: at each due time, window and horizon.

A *story* is one document, with parcels, of which some are shared with other stories, and of which some carriers do not know the order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from random import Random

from hypothesis import settings
from hypothesis import strategies as st

from pipeline.calendars import Calendar, Calendars
from pipeline.expectations import EXPECTATIONS
from pipeline.fulfilment_rules import FulfilmentRules
from tests.builders import MONDAY, Event
from tests.strategies import HOUR, MINUTE, MS, PROFILE, SECOND, placed

DAY = timedelta(days=1)
FAR = MONDAY + 400 * DAY
"""A time by which everything has been decided."""

BERLIN = Calendar("Europe/Berlin", time(8), time(18), holidays=frozenset({date(2026, 3, 4), date(2026, 4, 3)}))

RULES = FulfilmentRules(expectations=tuple(replace(each, enabled="on") for each in EXPECTATIONS), count_memory=900 * DAY)
"""Everything lapses, whether the shop is known to send it or not."""

OTHER_RULES = replace(
    RULES,
    expectations=tuple(
        replace(each, calendar="working" if number % 2 else "always", re_arm="latest" if number % 3 else "first")
        for number, each in enumerate(EXPECTATIONS)
    ),
    promise_by="day",
    dimensions=("country", "device"),
    interval=DAY,
    calendars=Calendars({"shop": BERLIN}, Calendar("America/New_York")),
    link_horizon=DAY,
    allowed_lateness=timedelta(0),
    dedup_horizon=10 * DAY,
    seen_within=2 * DAY,
)
"""Awaited types must have been seen, working hours count, a promise holds for its day, and what moves a wait is turned round."""

PAUSES = (
    *(SECOND, timedelta(0), MINUTE, MS, HOUR, HOUR + MS, 6 * HOUR, 12 * HOUR, 12 * HOUR + MS),
    *(DAY, DAY + MS, 2 * DAY, 2 * DAY + MS, 3 * DAY, 3 * DAY + MS, 5 * DAY, 7 * DAY + MS, 10 * DAY, 14 * DAY),
)

DELAYS: Mapping[str, Sequence[timedelta]] = {
    "in time": (timedelta(0), SECOND, 5 * MINUTE, 10 * MINUTE),
    "not too late": (timedelta(0), MINUTE, 10 * MINUTE, 11 * MINUTE, DAY, 4 * DAY, 29 * DAY),
    "any": (*(4 * [timedelta(0)]), MINUTE, 11 * MINUTE, 3 * HOUR, 2 * DAY, 9 * DAY, 31 * DAY, -HOUR),
}
AGAIN = (timedelta(0), SECOND, HOUR, 9 * DAY, 11 * DAY, 31 * DAY)

_MONEY = {"amount_minor": 4_900, "currency": "EUR"}

ORDER: tuple[Event, ...] = (
    {"event_type": "order_placed", "promised_at": 4 * DAY, "payment_method": "card", "country": "DE", "is_reorder": True, **_MONEY},
    {"event_type": "order_placed", "document_type": "order", "session_id": "s1"},
    {"event_type": "payment_failed", "reason": "insufficient_funds"},
    {"event_type": "payment_failed"},
    {"event_type": "payment_authorized", "payment_method": "paypal"},
    {"event_type": "order_confirmed"},
    {"event_type": "order_changed", "amount_minor": 3_900, "reason": "address"},
    {"event_type": "order_shipped", "parcel": True, "carrier": "dhl"},
    {"event_type": "order_shipped"},
    {"event_type": "order_cancelled", "reason": "customer"},
    {"event_type": "return_requested", "return_id": "r1"},
    {"event_type": "return_received", "return_id": "r1"},
    {"event_type": "return_received", "return_id": "r2"},
    {"event_type": "return_completed"},
    {"event_type": "order_refunded", "return_id": "r1", "refund_minor": 900},
    {"event_type": "order_refunded", "refund_minor": 4_000},
)
PARCEL: tuple[Event, ...] = (
    {"event_type": "info_received", "promised_at": 3 * DAY, "carrier": "ups"},
    {"event_type": "in_transit", "eta_at": 2 * DAY},
    {"event_type": "in_transit", "country": "FR"},
    {"event_type": "in_transit"},
    {"event_type": "out_for_delivery", "eta_at": 2 * DAY},
    {"event_type": "attempt_failed", "reason": "nobody_home"},
    {"event_type": "available_for_pickup"},
    {"event_type": "delivered"},
    {"event_type": "delivered"},
    {"event_type": "exception", "reason": "customs"},
    {"event_type": "expired"},
    {"event_type": "returned_to_sender"},
    {"event_type": "eta_changed", "eta_at": 4 * DAY, "reason": "weather"},
    {"event_type": "eta_changed"},
    {"event_type": "customer_notified"},
)
OTHERS: tuple[Event, ...] = (
    {"event_type": "rfq_submitted", "due_at": 2 * DAY, "assignee_id": "sales-1"},
    {"event_type": "rfq_submitted"},
    {"event_type": "quote_received", "quote_id": "q1", "due_at": 5 * DAY, "amount_minor": 90_000, "currency": "EUR"},
    {"event_type": "quote_received", "quote_id": "q2"},
    {"event_type": "quote_accepted"},
    {"event_type": "quote_rejected", "reason": "too_expensive"},
    {"event_type": "quote_expired"},
    {"event_type": "rfq_withdrawn"},
    {"event_type": "bulk_price_requested"},
    {"event_type": "bulk_price_offered"},
    {"event_type": "approval_requested", "step": "budget", "assignee_id": "u-1"},
    {"event_type": "approval_requested", "step": "legal", "assignee_id": "u-2", "due_at": DAY},
    {"event_type": "approval_granted", "step": "budget"},
    {"event_type": "approval_granted"},
    {"event_type": "approval_rejected", "step": "legal"},
    {"event_type": "approval_withdrawn", "step": "legal"},
    {"event_type": "onboarding_started", "due_at": 5 * DAY},
    {"event_type": "onboarding_step_completed", "step": "documents"},
    {"event_type": "onboarding_step_completed", "step": "contract"},
    {"event_type": "onboarding_completed"},
    {"event_type": "step_started", "step": "audit", "document_type": "other"},
    {"event_type": "step_completed", "step": "audit"},
    {"event_type": "order_placed", "document_type": "blanket order", "parent_id": "rfq-1"},
)
"""Spans stand for times so long after the event."""

HABITS: Mapping[str, tuple[tuple[object, ...], ...]] = {
    "customer_id": ((None,), ("anna",), (None, "anna"), ("anna", "bert")),
    "visitor_id": ((None,), (None, "v1")),
    "account_id": ((None,), (None, "acme", "")),
}


def story(dice: Random, number: int, *, most: int) -> list[Event]:
    """All that happens to one document; not placed yet."""
    habits = {name: dice.choice(ways) for name, ways in HABITS.items()}
    site, partition = ("shop", "outlet")[number // 6 % 2], number // 3 % 2
    is_order = dice.random() < 0.7
    # Now and then documents of one partition share a parcel.
    parcels = (f"d{number}", f"d{number}b", f"shared{number // 3}")
    knows = dice.choice(((True,), (False,), (True, False)))
    at = MONDAY + dice.choice((10 * HOUR, 23 * HOUR + 50 * MINUTE, 5 * DAY))
    events: list[Event] = []
    for place in range(dice.randint(1, most)):
        at += dice.choice(PAUSES)
        is_parcels = is_order and dice.random() < 0.5
        deed = dict(dice.choice(PARCEL if is_parcels else ORDER if is_order and dice.random() < 0.95 else OTHERS))
        said = {name: dice.choice(values) for name, values in habits.items()}
        event: Event = {"family": "delivery" if is_parcels else "order", "order_id": f"o{number}", **said, **deed}
        if is_parcels or event.pop("parcel", False):
            event["delivery_id"] = dice.choice(parcels)
        if is_parcels and not dice.choice(knows):
            del event["order_id"]
        event |= {name: at + value for name, value in event.items() if isinstance(value, timedelta)}
        event |= {"site": site, "partition": partition, "event_id": f"{number}-{place}", "event_at": at, "story": str(number)}
        events.append({name: value for name, value in event.items() if value is not None})
    return events


@dataclass(frozen=True)
class Office:
    """Some documents and how their events arrive; always the same of one seed."""

    seed: int
    documents: int
    delays: str = "any"

    @cached_property
    def log(self) -> list[Event]:
        """Events late, out of order, some again, some after a silence, cut into batches."""
        dice = Random(self.seed)
        events = [event for number in range(self.documents) for event in story(dice, number, most=dice.choice((3, 8, 14)))]
        delays = DELAYS[self.delays]
        arriving: list[tuple[datetime, Event]] = [(event["event_at"] + dice.choice(delays), event) for event in events]
        if self.delays == "any":
            arriving += [(at + dice.choice(AGAIN), event) for at, event in dice.choices(arriving, k=len(events) // 10)]
        log = placed(arriving)
        for record in dice.choices(log, k=dice.randint(0, 3)):
            record["cut_before"] = True
        if self.delays == "any":
            for record in dice.choices(log, k=dice.randint(0, 2)):
                record["quiet_before"] = dice.choice((HOUR, 2 * DAY, 8 * DAY))
        return log


FEW = settings(max_examples=3) if PROFILE == "ci" else settings()
"""A step of this fold costs more, over few events, than one of sessions."""


def offices(delays: str = "any") -> st.SearchStrategy[Office]:
    """Many documents or a few."""
    return st.builds(Office, seed=st.integers(0, 2**32), documents=st.sampled_from((24, 24, 12, 3)), delays=st.just(delays))
