"""Who is told of which alert, and when: routes of channels, and hours in which nothing new is told.

Time:    wall clock in, in UTC; hours of a week are those of the alert's site
Cases:   a list that names nothing -> all | a span of hours that ends before it begins -> over midnight, and it belongs to the day on which it begins
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.calendars import Calendars

Alert = Mapping[str, Any]
"""A row of the table `alerts` as it was published: column -> value."""


@dataclass(frozen=True)
class Route:
    """Which alerts: those that each list which names any has the alert's value of."""

    sites: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def takes(self, alert: Alert) -> bool:
        """Whether an alert goes this way."""
        asked = ((self.sites, "site"), (self.owners, "owner"), (self.severities, "severity"), (self.rules, "rule"))
        return all(not named or alert[column] in named for named, column in asked)


@dataclass(frozen=True)
class Mute:
    """When nothing new is told of some alerts: once, from one time to another, or in hours of every week."""

    route: Route
    begins: datetime | None = None
    ends: datetime | None = None
    """Both with a zone; None of both: every week."""
    opens: time = time(0)
    closes: time = time(0)
    """Not later than `opens`: on the next day."""
    weekdays: tuple[int, ...] = ()
    """Days on which it begins; 0 is Monday."""

    def covers(self, alert: Alert, now: datetime, zone: str) -> bool:
        """Whether this alert is muted now, on a site in this time zone."""
        if not self.route.takes(alert):
            return False
        if self.begins is not None and self.ends is not None:
            return self.begins <= now < self.ends
        local = now.astimezone(ZoneInfo(zone))
        if self.opens < self.closes:
            return local.weekday() in self.weekdays and self.opens <= local.time() < self.closes
        began_yesterday = (local - timedelta(days=1)).weekday() in self.weekdays and local.time() < self.closes
        return began_yesterday or (local.weekday() in self.weekdays and local.time() >= self.opens)


@dataclass(frozen=True)
class Mutes:
    """All of them."""

    mutes: tuple[Mute, ...] = ()
    calendars: Calendars = field(default_factory=Calendars)
    """Say in which time zone a site is."""

    def cover(self, alert: Alert, now: datetime) -> bool:
        """Whether an alert is muted now."""
        zone = self.calendars.of_site.get(alert["site"], self.calendars.default).time_zone
        return any(mute.covers(alert, now, zone) for mute in self.mutes)
