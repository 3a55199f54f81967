"""Friction of the later journey, as the events of one document show it.

Frames:  CaseLog -> FIRED
Cases:   declined a third time -> told once, at the second | the date moves to an earlier one, or by some hours -> nothing | two parcels -> each for itself
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from pipeline.case_log import CaseLog
from pipeline.frames import schema
from pipeline.groups import NEVER, Mask, Millis, at
from pipeline.watermark import milliseconds

FIRED = schema(
    {"case": pl.Int64, "row": pl.Int64, "signal": pl.String, "weight": pl.Float64, "value": pl.Float64, "detail": pl.String}
)
"""`row`: the event at which it fired."""


@dataclass(frozen=True)
class CaseRule:
    """The numbers of these signals."""

    slip: timedelta = timedelta(days=1)
    """A date that moves by so much to a later one, inclusive, has slipped."""
    soon: timedelta = timedelta(days=2)
    """A return that is asked for so soon after the delivery, inclusive, is one of goods that were not what was expected."""


@dataclass(frozen=True)
class CaseSignal:
    """One signal: which events it fires at, and how much."""

    name: str
    weight: float
    meaning: str
    fires: Callable[[CaseLog, CaseRule], tuple[Mask, pl.Series | None]]
    """Rows at which it fires, and a value for every row."""
    source: str


def _declined_twice(log: CaseLog, rule: CaseRule) -> tuple[Mask, pl.Series | None]:
    """The second failure in a row of one order."""
    del rule
    failed, paid = log.is_of(("payment_failed",)), log.is_of(("payment_authorized",))
    rows = np.flatnonzero(failed | paid)
    if not len(rows):
        return failed, None
    case, is_failure = log.case[rows], failed[rows]
    # A run begins with a new case, and after a payment.
    begins = np.append(True, (case[1:] != case[:-1]) | ~is_failure[:-1])
    run = np.cumsum(begins) - 1
    place = np.arange(len(rows)) - np.flatnonzero(begins)[run]
    fires = np.zeros(log.events.height, dtype=bool)
    fires[rows[is_failure & (place == 1)]] = True
    return fires, None


def _eta_slip(log: CaseLog, rule: CaseRule) -> tuple[Mask, pl.Series | None]:
    hours = pl.Series(log.slip_ms / 3_600_000)
    return log.slip_ms >= milliseconds(rule.slip), hours


def _failed_attempt(log: CaseLog, rule: CaseRule) -> tuple[Mask, pl.Series | None]:
    del rule
    return log.is_of(("attempt_failed",)) & (log.parcel >= 0), None


def _exception(log: CaseLog, rule: CaseRule) -> tuple[Mask, pl.Series | None]:
    del rule
    return log.is_of(("exception",)) & (log.parcel >= 0), None


def _return_soon(log: CaseLog, rule: CaseRule) -> tuple[Mask, pl.Series | None]:
    """The first return that is asked for, soon after the last delivery before it."""
    asked = log.cases.first(log.is_of(("return_requested",)))
    came = log.is_of(("delivered",))
    rows = np.flatnonzero(came)
    asked_ms = at(log.ms, asked)
    before = np.zeros(log.events.height, dtype=bool)
    before[rows[log.ms[rows] <= asked_ms[log.case[rows]]]] = True
    came_ms: Millis = at(log.ms, log.cases.last(before))
    is_soon = (asked >= 0) & (came_ms != NEVER) & (asked_ms - np.where(came_ms == NEVER, 0, came_ms) <= milliseconds(rule.soon))
    fires = np.zeros(log.events.height, dtype=bool)
    fires[asked[is_soon]] = True
    hours = np.full(log.events.height, np.nan)
    hours[asked[is_soon]] = (asked_ms - came_ms)[is_soon] / 3_600_000
    return fires, pl.Series(hours).fill_nan(None)


CASE_SIGNALS = (
    CaseSignal(
        "payment_declined_twice",
        30.0,
        "A payment of one order fails a second time in a row.",
        _declined_twice,
        "Ours: once may be a typing error.",
    ),
    CaseSignal(
        "eta_slip", 20.0, "The date of delivery moves to a later one.", _eta_slip, "Ours: a day; hours within a day nobody notices."
    ),
    CaseSignal("failed_attempt", 15.0, "A delivery is tried in vain.", _failed_attempt, "Carriers: AfterShip `AttemptFail`."),
    CaseSignal("delivery_exception", 20.0, "A parcel is held up.", _exception, "Carriers: AfterShip `Exception`."),
    CaseSignal(
        "return_soon",
        20.0,
        "A return is asked for soon after the delivery.",
        _return_soon,
        "Ours: two days; who needs no time to think got something else.",
    ),
)

JOURNEY_OF: Mapping[str, tuple[str, str]] = {
    "payment_declined_twice": ("order", "paid"),
    "eta_slip": ("order", "delivered"),
    "failed_attempt": ("order", "delivered"),
    "delivery_exception": ("order", "delivered"),
    "return_soon": ("return", "requested"),
}
"""Signal -> journey and step at which it stands in the way."""


def fired(log: CaseLog, rule: CaseRule) -> pl.DataFrame:
    """All that has fired. Frames: -> FIRED."""
    found = [FIRED.to_frame()]
    for signal in CASE_SIGNALS:
        fires, value = signal.fires(log, rule)
        rows = np.flatnonzero(fires)
        if len(rows):
            reason = log.events["reason"].gather(rows)
            found.append(
                pl.DataFrame({"case": log.case[rows], "row": rows}).select(
                    "case",
                    "row",
                    pl.lit(signal.name).alias("signal"),
                    pl.lit(signal.weight).alias("weight"),
                    (pl.lit(None) if value is None else value.gather(rows)).cast(pl.Float64).alias("value"),
                    reason.fill_null("").alias("detail"),
                )
            )
    return pl.concat(found)
