"""All events of some cases in their order, ready to be asked: by case, by parcel, by type.

Frames:  KEPT, KNOWN -> CaseLog
Cases:   the promise -> of the order if it says one (the first), else the first of the parcel
         the date has moved -> an `eta_at` that is another one than the last that was said of that parcel; `eta_changed` without one moves it too
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from pipeline.expectation import DATE_MOVED, PARCEL_EVENT, PARCEL_TYPES
from pipeline.frames import schema
from pipeline.groups import NEVER, Groups, Mask, Millis, Places, at, rows_or_none

KNOWN = schema(
    {
        "case_key": pl.UInt64,
        "partition": pl.Int32,
        "site": pl.String,
        "order_id": pl.String,
        "first_ms": pl.Int64,
        "last_ms": pl.Int64,
        "told_ms": pl.Int64,
        "next_ms": pl.Int64,
        "is_open": pl.Boolean,
        "at_risk": pl.UInt8,
    }
)
"""A case that is remembered: `told_ms`, the watermark at which it was told last; `next_ms`, the first time at which something about it changes by itself. No
`order_id`: a parcel alone. `at_risk`: the band of risk that was told last (risk.RiskBands); null: kept by a version that told nobody."""

SCANS = ("in_transit", "out_for_delivery", "attempt_failed", "available_for_pickup", "delivered", "exception", "returned_to_sender")
"""What tells where a parcel is; `info_received` only tells that the carrier expects it."""


_NUMBERS = ("promised_at", "due_at", "eta_at", "amount_minor", "refund_minor")


@dataclass(frozen=True)
class CaseLog:
    """Some cases and their events."""

    known: pl.DataFrame
    """KNOWN, in order of `case_key`: the number of a case is its row."""
    events: pl.DataFrame
    """KEPT, in order of (case, event_ms, tie)."""
    now_ms: Millis
    """The watermark at which each case is told."""

    @classmethod
    def of(cls, known: pl.DataFrame, events: pl.DataFrame, now_ms: Millis) -> "CaseLog":
        """Put them in order. `now_ms` in the order of `known`."""
        order = known.select(pl.arg_sort_by("case_key")).to_series()
        return cls(known[order], events.sort("case_key", "event_ms", "tie"), now_ms[order.to_numpy()])

    @cached_property
    def n(self) -> int:
        """How many cases there are."""
        return self.known.height

    @cached_property
    def case(self) -> Places:
        """Number of the case of each event."""
        numbers: Places = np.searchsorted(self.known["case_key"].to_numpy(), self.events["case_key"].to_numpy())
        return numbers

    @cached_property
    def ms(self) -> Millis:
        """When each event happened."""
        return self.events["event_ms"].to_numpy()

    @cached_property
    def cases(self) -> Groups:
        """The events by case."""
        return Groups(self.case, self.n)

    @cached_property
    def every(self) -> Mask:
        """All events."""
        return np.ones(self.events.height, dtype=bool)

    @cached_property
    def _codes(self) -> tuple[Places, list[str]]:
        """Each event's type as a number from 0, and the types."""
        types = self.events["event_type"]
        found, codes = np.unique(types.to_physical().to_numpy(), return_inverse=True)
        names = dict(pl.DataFrame({"code": types.to_physical(), "name": types.cast(pl.String)}).unique().iter_rows())
        return codes, [names[code] for code in found.tolist()]

    def is_of(self, names: Sequence[str]) -> Mask:
        """Which events are of one of these types, derived ones among them."""
        codes, known = self._codes
        found: Mask = np.array([name in names for name in known], dtype=bool)[codes]
        if DATE_MOVED in names:
            found = found | self.date_moved
        if PARCEL_EVENT in names:
            found = found | (self.parcel >= 0)
        return found

    @cached_property
    def _is_said(self) -> pl.DataFrame:
        return self.events.select(pl.all().is_not_null())  # one query for all columns

    @cached_property
    def _numbers(self) -> pl.DataFrame:
        return self.events.select(pl.col(_NUMBERS).fill_null(NEVER))

    def has(self, name: str) -> Mask:
        """Which events have a value here."""
        return self._is_said[name].to_numpy()

    def number(self, name: str) -> Millis:
        """A time in ms or an amount of each event; NEVER: it says none."""
        return self._numbers[name].to_numpy()

    # Parcels ----------------------------------------------------------------------------------------------------------------

    @cached_property
    def _parcels(self) -> tuple[Places, Places]:
        """Number of the parcel of each event (-1: none, or one that belongs to another case); and the first event of each parcel."""
        is_own = (self.events["owner"] == self.events["case_key"]).fill_null(value=False).to_numpy() & self.has("parcel_key")
        rows = np.flatnonzero(is_own)
        keys = self.events["parcel_key"].gather(rows).to_numpy()
        found, first, numbers = np.unique(keys, return_index=True, return_inverse=True)
        of = np.full(self.events.height, -1, dtype=np.int64)
        of[rows] = numbers
        return of, rows[first] if len(found) else np.zeros(0, dtype=np.int64)

    @cached_property
    def parcel(self) -> Places:
        """Number of the parcel of each event; -1: none, or one that belongs to another case."""
        return self._parcels[0]

    @cached_property
    def parcel_begins(self) -> Places:
        """The first event of each parcel."""
        return self._parcels[1]

    @cached_property
    def parcels(self) -> Groups:
        """The events by parcel."""
        return Groups(self.parcel, len(self.parcel_begins))

    @cached_property
    def case_of_parcel(self) -> Places:
        """Number of the case of each parcel."""
        return self.case[self.parcel_begins]

    @cached_property
    def is_carriers(self) -> Mask:
        """Which events are of the family `delivery`."""
        return self.is_of(PARCEL_TYPES)

    @cached_property
    def promise_of_case(self) -> Millis:
        """What was promised first with the order; NEVER: nothing."""
        says = self.has("promised_at")
        return at(self.number("promised_at"), self.cases.first(says & ~self.is_carriers))

    @cached_property
    def promise_of_parcel(self) -> Millis:
        """When each parcel is promised for; NEVER: nobody said."""
        own = at(self.number("promised_at"), self.parcels.first(self.has("promised_at")))
        of_case = self.promise_of_case[self.case_of_parcel]
        return np.where(of_case != NEVER, of_case, own)

    @cached_property
    def _etas(self) -> tuple[Mask, Millis]:
        """Which events move the date of their parcel, and by how much; 0: nobody knows."""
        moved, slip_ms = np.zeros(self.events.height, dtype=bool), np.zeros(self.events.height, dtype=np.int64)
        says = self.has("eta_at") & (self.parcel >= 0)
        rows = np.flatnonzero(says)
        rows = rows[np.argsort(self.parcel[rows], kind="stable")]
        eta_ms = self.number("eta_at")
        if len(rows) > 1:
            before, after = rows[:-1], rows[1:]
            differs = (self.parcel[before] == self.parcel[after]) & (eta_ms[before] != eta_ms[after])
            moved[after[differs]] = True
            slip_ms[after[differs]] = (eta_ms[after] - eta_ms[before])[differs]
        moved |= self.is_of(("eta_changed",)) & ~says & (self.parcel >= 0)
        return moved, slip_ms

    @cached_property
    def date_moved(self) -> Mask:
        """Which events move the date of their parcel."""
        return self._etas[0]

    @cached_property
    def slip_ms(self) -> Millis:
        """By how much; 0: it does not, or nobody knows."""
        return self._etas[1]

    @cached_property
    def delivered(self) -> Millis:
        """When each parcel came; NEVER: not yet."""
        return at(self.ms, self.parcels.first(self.is_of(("delivered",))))

    @cached_property
    def is_scan(self) -> Mask:
        """Which events tell where a parcel is."""
        return self.is_of(SCANS) & (self.parcel >= 0)

    def word(self, name: str, places: Places) -> pl.Series:
        """A column of the events at these places, as strings."""
        return self.words({name: places})[name]

    def words(self, places: Mapping[str, Places]) -> pl.DataFrame:
        """Columns of the events, each at its places, as strings; in one query."""
        rows = {name: rows_or_none(at_these) for name, at_these in places.items()}
        return self.events.select(pl.col(name).gather(at_these).cast(pl.String) for name, at_these in rows.items())
