"""What comes back: parcels, and money.

Frames:  PLACED, Dispatch, Carriage -> entries of the family `order`
Cases:   kept | sent back, all or a part of it, soon or within weeks | paid and cancelled, lost or never handed over: all of the money
"""

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import DAY_MS, HOUR_MS
from pipeline.simulator.draws import Ints
from pipeline.simulator.entries import about, between, entries
from pipeline.simulator.happenings import strings
from pipeline.simulator.identifiers import short_ids
from pipeline.simulator.orders import NEVER_MS, Dispatch
from pipeline.simulator.parcels import Carriage

_RETURNS = 0.12
_SOON_MS, _VAGUELY_SOON_MS = DAY_MS, 3 * DAY_MS
_LATEST_MS = 25 * DAY_MS
_PARTLY = 0.4
_REASONS = ("too_small", "not_as_described", "damaged", "changed_mind")


def returns(rng: np.random.Generator, placed: pl.DataFrame, sent: Dispatch, carried: Carriage) -> tuple[list[pl.DataFrame], Ints]:
    """Returns and refunds, and when the last money went back; NEVER_MS: none did."""
    n = placed.height
    amount = placed["amount_minor"].to_numpy()
    comes_back = (carried.delivered_ms != NEVER_MS) & (rng.random(n) < _RETURNS)
    after_ms = np.minimum(about(rng, n, 2.5 * DAY_MS, 1.0) + HOUR_MS, _LATEST_MS)
    asked_ms = carried.delivered_ms + after_ms
    received_ms = asked_ms + between(rng, n, 3 * DAY_MS, 8 * DAY_MS)
    completed_ms = received_ms + between(rng, n, 2 * HOUR_MS, 2 * DAY_MS)
    partly = (placed["n_items"].to_numpy() > 1) & (rng.random(n) < _PARTLY)
    lost_money = (sent.paid_ms != NEVER_MS) & ((sent.cancelled_ms != NEVER_MS) | carried.is_lost | carried.is_sent_back)
    back_ms = np.select(
        [comes_back, lost_money & (sent.cancelled_ms != NEVER_MS), lost_money & carried.is_lost, lost_money],
        [completed_ms, sent.cancelled_ms, sent.promised_ms + 8 * DAY_MS, carried.ended_ms],
        NEVER_MS,
    )
    # No money goes back before it was known that the parcel had left.
    back_ms = np.where(back_ms == NEVER_MS, NEVER_MS, np.maximum(back_ms, sent.shipped_ms) + between(rng, n, HOUR_MS, 2 * DAY_MS))
    refund = np.where(comes_back & partly, np.maximum(1, (amount * rng.uniform(0.2, 0.7, n)).astype(np.int64)), amount)

    here, paid_back = np.flatnonzero(comes_back), np.flatnonzero(back_ms != NEVER_MS)
    return_id = short_ids(rng, n, "r-")
    reason = strings(_REASONS, rng.integers(0, len(_REASONS), n))
    soon = (after_ms <= _VAGUELY_SOON_MS)[here].astype(np.int64)
    of_return = {"return_id": return_id.gather(here), "reason": reason.gather(here)}
    blocks = [
        entries(
            "order", here, "return_requested", asked_ms[here], **of_return,
            planted=strings([None, "return_soon"], soon), vague=(after_ms > _SOON_MS)[here], measure=after_ms[here].astype(np.float64),
        ),
        entries("order", here, "return_received", received_ms[here], **of_return),
        entries("order", here, "return_completed", completed_ms[here], **of_return),
        entries(
            "order", paid_back, "order_refunded", back_ms[paid_back], refund_minor=refund[paid_back],
            return_id=return_id.gather(paid_back).zip_with(
                pl.Series(comes_back[paid_back]), pl.repeat(None, len(paid_back), dtype=pl.String, eager=True)
            ),
        ),
    ]  # fmt: skip
    return blocks, back_ms
