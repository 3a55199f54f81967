"""When a site works, and when its days end: spans of working hours, holidays left out, in the site's own time zone.

Time:    epoch ms in, epoch ms out; no clock is read
Cases:   a wait that begins at night or on a holiday -> as if it began when the site opens | a day on which clocks change -> as long as it is
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.table import TIME

Millis = NDArray[np.int64]

_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Calendar:
    """The hours at which people of one site work."""

    time_zone: str = "UTC"
    """Name of the IANA data base."""
    opens: time = time(9)
    closes: time = time(17)
    """Later than `opens`, on the same day."""
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Working days; 0 is Monday."""
    holidays: frozenset[date] = field(default_factory=frozenset)
    """Days of the site on which nobody works."""

    def __post_init__(self) -> None:
        """Raises: ValueError on an unknown zone, or hours and days in which nobody ever works."""
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            message = f"time_zone {self.time_zone!r} is none that is known: use a name like Europe/Berlin"
            raise ValueError(message) from error
        if self.opens >= self.closes or not self.weekdays or not set(self.weekdays) <= set(range(7)):
            message = "a calendar needs `opens` before `closes`, and working days from 0 (Monday) to 6"
            raise ValueError(message)


_Judged = Callable[[Calendar, Millis], Millis]

ALWAYS_OPEN = "always"
WORKING_HOURS = "working"


@dataclass(frozen=True)
class Calendars:
    """The calendars of all sites."""

    of_site: Mapping[str, Calendar] = field(default_factory=dict)
    default: Calendar = field(default_factory=Calendar)
    """Of sites that `of_site` does not know."""

    def working(self, sites: pl.Series, ms: Millis, span: timedelta) -> Millis:
        """The time at which so much working time has passed."""
        return self._by_calendar(sites, ms, lambda calendar, some: after_working(calendar, some, span))

    def days_end(self, sites: pl.Series, ms: Millis) -> Millis:
        """The last ms of the local day in which each time lies."""
        return self._by_calendar(sites, ms, day_end)

    def spelt(self) -> str:
        """All of them as text, the same in every process."""
        every = {"": self.default, **self.of_site}
        return repr([(site, replace(each, holidays=frozenset()), sorted(each.holidays)) for site, each in sorted(every.items())])

    def _by_calendar(self, sites: pl.Series, ms: Millis, judged: _Judged) -> Millis:
        calendars = (self.default, *self.of_site.values())
        places = {site: place for place, site in enumerate(self.of_site, 1)}
        which = sites.cast(pl.String).replace_strict(places, default=0, return_dtype=pl.Int64).to_numpy()
        out = ms.copy()
        for place in np.unique(which).tolist():
            rows = np.flatnonzero(which == place)
            out[rows] = judged(calendars[place], ms[rows])
        return out


def after_working(calendar: Calendar, ms: Millis, span: timedelta) -> Millis:
    """The time at which `span` of working time has passed since each of these times."""
    if not len(ms):
        return ms
    span_ms = span // timedelta(milliseconds=1)
    # A year of holidays at most lies between two working days; what is not found within it is looked for further on.
    last_ms = int(ms.max()) + 8 * span_ms + 14 * _DAY_MS
    while True:
        opens, closes = _hours(calendar, int(ms.min()) // _DAY_MS - 1, last_ms // _DAY_MS + 2)
        done = np.concatenate([[0], np.cumsum(closes - opens)])
        at = np.searchsorted(closes, ms, side="left")
        if at.max() < len(opens):
            worked = done[at] + np.maximum(ms - opens[at], 0)
            target = worked + span_ms
            then = np.searchsorted(done, target, side="left") - 1
            then = np.maximum(then, 0)
            if then.max() < len(opens):
                found: Millis = opens[then] + (target - done[then])
                return found
        last_ms += 366 * _DAY_MS


def day_end(calendar: Calendar, ms: Millis) -> Millis:
    """The last ms of the local day in which each time lies."""
    local = pl.Series(ms).cast(TIME).dt.convert_time_zone(calendar.time_zone)
    ends = local.dt.truncate("1d").dt.offset_by("1d").dt.convert_time_zone("UTC").to_physical().to_numpy()
    last: Millis = ends - 1
    return last


@lru_cache(maxsize=64)
def _hours(calendar: Calendar, first_day: int, last_day: int) -> tuple[Millis, Millis]:
    """When the site opens and closes, in these days since the epoch."""
    zone = ZoneInfo(calendar.time_zone)
    days = (date(1970, 1, 1) + timedelta(days=day) for day in range(first_day, last_day + 1))
    works = [day for day in days if day.weekday() in calendar.weekdays and day not in calendar.holidays]
    opens, closes = (
        np.array([_ms(datetime.combine(day, at, zone)) for day in works], dtype=np.int64)
        for at in (calendar.opens, calendar.closes)
    )
    return opens, closes


def _ms(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
