"""A parcel from the warehouse to the door: scanned, late, tried in vain, held up, lost, delivered.

Frames:  PLACED, Dispatch -> entries of the family `delivery`, and what became of each
Cases:   in time | not heard of for days, where its carrier does not scan | the date moves, by days or, which is vague, by hours | nobody at home, and again the next day | held up | lost, and never scanned again
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import DAY_MS, HOUR_MS
from pipeline.simulator.draws import Bools, Ints
from pipeline.simulator.entries import MINUTE_MS, between, entries, texts
from pipeline.simulator.happenings import Cells, strings
from pipeline.simulator.obstacles import VAGUE
from pipeline.simulator.orders import NEVER_MS, Dispatch
from pipeline.simulator.scenarios import Weather

_LATE, _HELD_UP, _LOST, _NOBODY_HOME = 0.06, 0.02, 0.008, 0.06
_PICKED_UP, _SENT_BACK = 0.2, 0.05
"""Of those that nobody was at home for."""
_KNOWS_ORDER = 0.85
"""Of the parcels, those whose carrier tells the order."""
_SLIP_REASONS = ("volume", "weather", "missed_connection")
_HELD_UP_REASONS = ("damaged", "customs", "address_unknown")


@dataclass(frozen=True)
class Carriage:
    """What became of parcels; a value a row of PLACED."""

    blocks: list[pl.DataFrame]
    delivered_ms: Ints
    """NEVER_MS: not at all."""
    is_late: Bools
    """Delivered later than was promised, and not on time by luck."""
    is_lost: Bools
    is_sent_back: Bools
    is_shocked: Bools
    ended_ms: Ints
    """The last that is heard of it."""


def carriage(rng: np.random.Generator, sent: Dispatch, order_id: pl.Series, country: pl.Series, weather: Weather) -> Carriage:
    """The parcels of all orders that were shipped."""
    n = len(sent.shipped_ms)
    shipped_ms, promised_ms = sent.shipped_ms, sent.promised_ms
    is_sent = shipped_ms != NEVER_MS
    shock = weather.scenario.parcels
    is_shocked = weather.hits(shock, shipped_ms) & is_sent & (rng.random(n) < (0.0 if shock is None else shock.chance))
    if shock is not None and shock.carrier is not None:
        is_shocked &= (sent.carrier == shock.carrier).to_numpy()
    is_unheard = is_shocked & (shock is not None and shock.stops_scans)
    slips = is_sent & ((is_shocked & ~is_unheard) | (rng.random(n) < _LATE))
    vague = slips & (rng.random(n) < VAGUE)
    is_held_up = is_sent & (rng.random(n) < np.where(slips, 3 * _HELD_UP, _HELD_UP))
    is_lost = is_sent & (rng.random(n) < _LOST)
    arrives = is_sent & ~is_lost
    fails = arrives & (rng.random(n) < _NOBODY_HOME)
    fate = rng.random(n)
    picks_up, is_sent_back = fails & (fate < _PICKED_UP), fails & (fate > 1 - _SENT_BACK)

    info_ms = shipped_ms + between(rng, n, MINUTE_MS, 30 * MINUTE_MS)
    first_ms = info_ms + between(rng, n, 2 * HOUR_MS, 8 * HOUR_MS)
    second_ms = first_ms + between(rng, n, 6 * HOUR_MS, 14 * HOUR_MS)
    if is_unheard.any():
        second_ms += np.where(is_unheard, between(rng, n, 4 * DAY_MS, 7 * DAY_MS), 0)
    slipped_ms = second_ms + between(rng, n, HOUR_MS, 5 * HOUR_MS)
    held_ms = np.where(slips, slipped_ms, second_ms) + between(rng, n, HOUR_MS, 6 * HOUR_MS)
    slip_ms = np.where(vague, between(rng, n, 3 * HOUR_MS, 20 * HOUR_MS), between(rng, n, 30 * HOUR_MS, 5 * DAY_MS))
    eta_ms = np.maximum(promised_ms, second_ms + DAY_MS)
    new_eta_ms = eta_ms + slip_ms
    ready_ms = np.select([is_held_up, slips], [held_ms, slipped_ms], second_ms)
    ready_ms = ready_ms + np.where(is_held_up, between(rng, n, DAY_MS, 2 * DAY_MS), 0)
    # Vans leave in the morning; a parcel whose date has moved comes about when it was last said.
    goal_ms = np.where(slips & ~vague, np.maximum(ready_ms, new_eta_ms - 14 * HOUR_MS), ready_ms)
    out_ms = (goal_ms // DAY_MS + 1) * DAY_MS + between(rng, n, 6 * HOUR_MS, 8 * HOUR_MS)
    tried_ms = out_ms + between(rng, n, 2 * HOUR_MS, 9 * HOUR_MS)
    again_ms = out_ms + DAY_MS
    delivered_ms = np.select(
        [~arrives | is_sent_back, picks_up, fails],
        [NEVER_MS, again_ms + between(rng, n, 3 * HOUR_MS, 3 * DAY_MS), again_ms + between(rng, n, 2 * HOUR_MS, 9 * HOUR_MS)],
        tried_ms,
    )
    expired_ms = second_ms + 30 * DAY_MS

    known = rng.random(n) < _KNOWS_ORDER
    whose = texts(order_id, known)

    def of(which: Bools, event_type: str, at_ms: Ints, **columns: Cells) -> pl.DataFrame:
        here = np.flatnonzero(which)
        return entries(
            "delivery", here, event_type, at_ms[here], delivery_id=sent.delivery_id.gather(here), order_id=whose.gather(here),
            carrier=sent.carrier.gather(here), country=country.gather(here),
            **{name: _of(here, value) for name, value in columns.items()},
        )  # fmt: skip

    blocks = [
        of(is_sent, "info_received", info_ms, promised_at=promised_ms),
        of(is_sent, "in_transit", first_ms, eta_at=eta_ms),
        of(is_sent, "in_transit", second_ms, eta_at=eta_ms),
        of(
            slips, "eta_changed", slipped_ms, eta_at=new_eta_ms, promised_at=promised_ms, planted="eta_slip", vague=vague,
            measure=slip_ms.astype(np.float64), reason=strings(_SLIP_REASONS, rng.integers(0, len(_SLIP_REASONS), n)),
        ),
        of(
            is_held_up & arrives, "exception", held_ms, planted="delivery_exception",
            reason=strings(_HELD_UP_REASONS, rng.integers(0, len(_HELD_UP_REASONS), n)),
        ),
        of(arrives, "out_for_delivery", out_ms),
        of(arrives & (rng.random(n) < 0.3), "customer_notified", out_ms + MINUTE_MS),
        of(fails, "attempt_failed", tried_ms, planted="failed_attempt", reason="nobody_home"),
        of(picks_up, "available_for_pickup", again_ms),
        of(fails & ~picks_up & ~is_sent_back, "out_for_delivery", again_ms),
        of(is_sent_back, "returned_to_sender", again_ms + 6 * DAY_MS),
        of(delivered_ms != NEVER_MS, "delivered", delivered_ms),
        of(is_lost, "expired", expired_ms),
    ]  # fmt: skip
    is_late = is_sent & (is_lost | is_sent_back | (delivered_ms > promised_ms))
    ended_ms = np.select([~is_sent, is_lost, is_sent_back], [np.full(n, NEVER_MS), expired_ms, again_ms + 6 * DAY_MS], delivered_ms)
    return Carriage(blocks, delivered_ms, is_late, is_lost, is_sent_back, is_shocked, ended_ms)


def _of(here: Ints, value: Cells) -> Cells:
    """The values of these rows; one for all stays as it is."""
    if isinstance(value, pl.Series):
        return value.gather(here)
    return value[here] if isinstance(value, np.ndarray) else value
