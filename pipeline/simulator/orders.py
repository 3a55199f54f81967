"""An order from its coming in until it leaves the house.

Frames:  PLACED -> entries of the family `order`, and what became of each
Cases:   paid at once | refused, once or twice, then paid or cancelled | changed | cancelled by the customer | shipped, mostly within a day | stuck for days
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import DAY_MS, HOUR_MS
from pipeline.simulator.columns import schema
from pipeline.simulator.draws import Bools, Ints
from pipeline.simulator.entries import MINUTE_MS, about, between, entries
from pipeline.simulator.happenings import strings
from pipeline.simulator.identifiers import short_ids

PLACED = schema(
    {
        "visit": pl.Int64, "order_id": pl.String, "parent_id": pl.String, "at_ms": pl.Int64, "site": pl.String, "country": pl.String,
        "visitor_id": pl.String, "session_id": pl.String, "customer_id": pl.String, "account_id": pl.String, "cart_id": pl.String,
        "amount_minor": pl.Int64, "currency": pl.String, "n_items": pl.Int64, "is_reorder": pl.Boolean,
    }
)  # fmt: skip
"""`visit`: row of the visit that it comes from. `at_ms`: when the customer sent it off."""

NEVER_MS = -1
"""A time that does not come."""
PAYMENT_REFUSED = 0.03
_REFUSED_TWICE = 0.5
_PAYS_IN_THE_END = (0.85, 0.55)
"""After one refusal, after two."""
_CHANGED, _CANCELLED, _STUCK = 0.02, 0.015, 0.015
_METHODS = ("card", "paypal", "direct_debit", "invoice")
CARRIERS = ("dhl", "dpd", "ups", "post")


@dataclass(frozen=True)
class Dispatch:
    """What became of orders up to the door of the warehouse; a value a row of PLACED."""

    blocks: list[pl.DataFrame]
    paid_ms: Ints
    cancelled_ms: Ints
    shipped_ms: Ints
    """NEVER_MS where it does not happen; so the two before."""
    promised_ms: Ints
    delivery_id: pl.Series
    carrier: pl.Series


def dispatch(rng: np.random.Generator, placed: pl.DataFrame) -> Dispatch:
    """Orders until they are shipped or cancelled."""
    n = placed.height
    everyone = np.arange(n)
    placed_ms = placed["at_ms"].to_numpy() + between(rng, n, 200, 3_000)
    is_company = placed["account_id"].is_not_null().to_numpy()
    method = np.where(is_company, 3, rng.choice(len(_METHODS), n, p=(0.55, 0.27, 0.13, 0.05)))
    day_ms = placed_ms // DAY_MS * DAY_MS
    promised_ms = day_ms + 4 * DAY_MS + 18 * HOUR_MS
    paid_ms, given_up_ms, refusals = _payments(rng, placed_ms)

    is_paid = paid_ms != NEVER_MS
    confirmed_ms = paid_ms + about(rng, n, 4 * MINUTE_MS)
    changes = is_paid & (rng.random(n) < _CHANGED)
    changed_ms = confirmed_ms + between(rng, n, 5 * MINUTE_MS, HOUR_MS)
    cancels = is_paid & (rng.random(n) < _CANCELLED)
    cancelled_ms = np.select(
        [cancels, ~is_paid], [confirmed_ms + between(rng, n, 70 * MINUTE_MS, 3 * HOUR_MS), given_up_ms], NEVER_MS
    )
    waits_ms = np.maximum(about(rng, n, 9 * HOUR_MS, 0.5), 75 * MINUTE_MS)
    waits_ms += np.where(rng.random(n) < _STUCK, between(rng, n, 3 * DAY_MS, 7 * DAY_MS), 0)
    shipped_ms = np.where(is_paid & ~cancels, confirmed_ms + waits_ms, NEVER_MS)
    delivery_id = short_ids(rng, n, "d-")
    carrier = strings(CARRIERS, rng.integers(0, len(CARRIERS), n))

    paid, shipped, changed = np.flatnonzero(is_paid), np.flatnonzero(shipped_ms != NEVER_MS), np.flatnonzero(changes)
    cancelled = np.flatnonzero(cancelled_ms != NEVER_MS)
    blocks = [
        entries(
            "order", everyone, "order_placed", placed_ms, payment_method=strings(_METHODS, method),
            promised_from_at=day_ms + 2 * DAY_MS, promised_at=promised_ms, visitor_id=placed["visitor_id"],
            session_id=placed["session_id"], cart_id=placed["cart_id"], country=placed["country"], n_items=placed["n_items"],
            is_reorder=placed["is_reorder"], parent_id=placed["parent_id"],
        ),
        *refusals,
        entries("order", paid, "payment_authorized", paid_ms[paid], payment_method=strings(_METHODS, method[paid])),
        entries("order", paid, "order_confirmed", confirmed_ms[paid]),
        entries("order", changed, "order_changed", changed_ms[changed], reason="address"),
        entries(
            "order", cancelled, "order_cancelled", cancelled_ms[cancelled],
            reason=strings(["payment", "customer"], is_paid[cancelled].astype(np.int64)),
        ),
        entries(
            "order", shipped, "order_shipped", shipped_ms[shipped], delivery_id=delivery_id.gather(shipped), carrier=carrier.gather(shipped)
        ),
    ]  # fmt: skip
    return Dispatch(blocks, paid_ms, cancelled_ms, shipped_ms, promised_ms, delivery_id, carrier)


def _payments(rng: np.random.Generator, placed_ms: Ints) -> tuple[Ints, Ints, list[pl.DataFrame]]:
    """When each is paid, when it is given up, and the refusals before."""
    n = len(placed_ms)
    refused = rng.random(n) < PAYMENT_REFUSED
    twice: Bools = refused & (rng.random(n) < _REFUSED_TWICE)
    first_ms = placed_ms + between(rng, n, 1_000, 40_000)
    second_ms = first_ms + between(rng, n, MINUTE_MS, 6 * HOUR_MS)
    last_ms = np.select([twice, refused], [second_ms, first_ms], placed_ms)
    pays = ~refused | (rng.random(n) < np.where(twice, _PAYS_IN_THE_END[1], _PAYS_IN_THE_END[0]))
    again_ms = last_ms + between(rng, n, 5 * MINUTE_MS, 10 * HOUR_MS)
    paid_ms = np.select([~pays, refused], [NEVER_MS, again_ms], first_ms)
    given_up_ms = last_ms + between(rng, n, 12 * HOUR_MS, 48 * HOUR_MS)
    once, again = np.flatnonzero(refused), np.flatnonzero(twice)
    blocks = [
        entries("order", once, "payment_failed", first_ms[once], reason="insufficient_funds"),
        entries("order", again, "payment_failed", second_ms[again], reason="insufficient_funds", planted="payment_declined_twice"),
    ]
    return paid_ms, given_up_ms, blocks
