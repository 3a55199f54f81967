"""Settings of the sites' calendars: when people work there, and when a day ends."""

from collections.abc import Sequence
from datetime import date, time
from typing import Annotated, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, model_validator

from agents.settings_section import Section, nearest, not_empty
from pipeline.calendars import Calendar, Calendars

EVERY_OTHER = "*"
"""What settings say for all sites that have no calendar of their own."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _known_zone(name: str) -> str:
    known = sorted(available_timezones())
    if name not in known:
        message = f"no time zone that is known; the nearest is {nearest(name, known)!r}"
        raise ValueError(message)
    return name


def known_days(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what is no day. Raises: ValueError that names the nearest."""
    for name in names:
        if name not in WEEKDAYS:
            message = f"{name!r} is no day; the nearest is {nearest(name, WEEKDAYS)!r}; there is {', '.join(WEEKDAYS)}"
            raise ValueError(message)
    return names


class CalendarSettings(Section):
    """When a site works."""

    site: Annotated[str, Field(examples=["shop.de"]), AfterValidator(not_empty)]
    """The site, as its events name it; `*`: every site that has none of its own."""
    time_zone: Annotated[str, Field(examples=["Europe/Berlin"]), AfterValidator(_known_zone)] = "UTC"
    """Its time zone: hours, holidays and the end of a promised day are counted in it."""
    opens: Annotated[time, Field(examples=["09:00"])] = time(9)
    """When its people begin to work."""
    closes: Annotated[time, Field(examples=["17:00"])] = time(17)
    """When they go home; later than `opens`, on the same day."""
    weekdays: Annotated[tuple[str, ...], Field(examples=[["mon", "tue", "wed", "thu", "fri"]]), AfterValidator(known_days)] = (
        WEEKDAYS[:5]
    )
    """Days on which they work: mon, tue, wed, thu, fri, sat, sun."""
    holidays: Annotated[tuple[date, ...], Field(examples=[["2026-12-25", "2027-01-01"]])] = ()
    """Days on which nobody works."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Raises: ValueError, see `Calendar`."""
        self.calendar()
        return self

    def calendar(self) -> Calendar:
        """The value. Raises: ValueError on hours and days in which nobody ever works."""
        days = tuple(WEEKDAYS.index(name) for name in self.weekdays)
        return Calendar(self.time_zone, self.opens, self.closes, days, frozenset(self.holidays))


def calendars(said: Sequence[CalendarSettings]) -> Calendars:
    """The calendars of all sites. Raises: ValueError on two of one site."""
    sites = [each.site for each in said]
    if twice := [site for site in sites if sites.count(site) > 1]:
        message = f"there are two calendars of site {twice[0]!r}"
        raise ValueError(message)
    found = {each.site: each.calendar() for each in said}
    default = found.pop(EVERY_OTHER, Calendar())
    return Calendars(found, default)
