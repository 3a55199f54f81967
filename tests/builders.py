"""Tiny sentences of which tests are made: `cart(at="10:00")` is an event of the contract, `frame([...])` what decode would hand over.

Cases:   times are "10:00", "10:00:30", "10:00:30.250" of one Monday, "+1d 00:10" of the day after
         an event with no id gets one from what it says: the same sentence twice is the same event twice
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from hashlib import blake2b
from typing import Any

import polars as pl

from pipeline.commerce import COMMERCE
from pipeline.events import POSITION, event_schema
from pipeline.frames import WATERMARKS

Event = dict[str, Any]
"""Fields of one event that are not null."""

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
_PAGES = {
    "page_view": ("/", "home"),
    "view_item": ("/shoes/1", "product"),
    "add_to_cart": ("/shoes/1", "product"),
    "begin_checkout": ("/checkout", "checkout"),
    "add_shipping_info": ("/checkout/shipping", "checkout"),
    "add_payment_info": ("/checkout/payment", "checkout"),
    "purchase": ("/thanks", "confirmation"),
}


MARKS = frozenset({"cut_before", "quiet_before", "story"})
"""What a record of a log may say beside its event: how it comes to a fold, and which story it is of."""


def clock(at: str) -> datetime:
    """The time that a sentence means: a clock time of Monday, or with "+1d " before it of a day after."""
    days, _, hour = at.rpartition(" ")
    return datetime.combine(MONDAY + timedelta(days=int(days.strip("+d") or 0)), time.fromisoformat(hour), UTC)


def happened(event_type: str, at: str | datetime, fields: Mapping[str, Any], standing: Mapping[str, Any]) -> Event:
    """An event of any family: `fields` over `standing`, with an id made of them if none is given."""
    event_at = clock(at) if isinstance(at, str) else at
    event = {"event_type": event_type, "event_at": event_at, "site": "shop", **standing, **fields}
    said = repr(sorted((name, value) for name, value in event.items() if name not in POSITION))
    return {"event_id": blake2b(said.encode(), digest_size=8).hexdigest(), **event}


def click(event_type: str = "click", *, at: str | datetime, **fields: Any) -> Event:
    """Something one visitor did; `click` if nothing else is said."""
    page, page_type = _PAGES.get(event_type, ("/", None))
    return happened(event_type, at, fields, {"visitor_id": "ann", "page": page, "page_type": page_type})


def view(*, at: str | datetime, **fields: Any) -> Event:
    """A look at the home page: the step browse."""
    return click("page_view", at=at, **fields)


def product(*, at: str | datetime, **fields: Any) -> Event:
    """A look at a product."""
    return click("view_item", at=at, **fields)


def cart(*, at: str | datetime, **fields: Any) -> Event:
    """Something put into the cart: the commit step."""
    return click("add_to_cart", at=at, **fields)


def checkout(*, at: str | datetime, **fields: Any) -> Event:
    """The checkout opens."""
    return click("begin_checkout", at=at, **fields)


def purchase(*, at: str | datetime, **fields: Any) -> Event:
    """The visitor buys: the goal."""
    return click("purchase", at=at, **fields)


def identify(*, at: str | datetime, customer_id: str, **fields: Any) -> Event:
    """The visitor logs in."""
    return click("login", at=at, customer_id=customer_id, **fields)


def order(*, at: str | datetime, **fields: Any) -> Event:
    """An order as the shop's books know it: another family than clicks."""
    return happened("order_placed", at, fields, {"order_id": "1001", "customer_id": "anna"})


def records(events: Iterable[Event]) -> list[Event]:
    """The events as they lie in Kafka: with partition (0 if none is given), the next offset there, and record time (if none: on time)."""
    placed, next_offset = [], dict[int, int]()
    for event in events:
        partition = event.get("partition", 0)
        offset = event.get("offset", next_offset.get(partition, 0))
        next_offset[partition] = offset + 1
        placed.append({**event, "partition": partition, "offset": offset, "record_at": event.get("record_at", event["event_at"])})
    return placed


def frame(events: Iterable[Event], family: str = "clickstream") -> pl.DataFrame:
    """What decode would hand over; of `commerce`, the events of orders and deliveries together. Frames: -> event_schema(family) or COMMERCE, and POSITION"""
    schema = pl.Schema({**(COMMERCE if family == "commerce" else event_schema(family)), **POSITION})
    rows = records(events)
    unknown = {name for row in rows for name in row} - set(schema) - MARKS
    assert not unknown, f"{family} has no field {sorted(unknown)}"
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def watermarks(at: Mapping[int, datetime | None]) -> pl.DataFrame:
    """How far event time has come in each partition. Frames: -> WATERMARKS"""
    return pl.DataFrame({"partition": list(at), "watermark": list(at.values())}, schema=WATERMARKS)
