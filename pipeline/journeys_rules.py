"""What the fold by person is told: times, expectations, calendars."""

from dataclasses import dataclass, field
from datetime import timedelta

from pipeline.attribution import Attribution
from pipeline.calendars import Calendars
from pipeline.expectation import Expectation
from pipeline.expectations import OF_PERSONS, OF_TICKETS

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class JourneysRules:
    """All settings of the fold; every span is of event time."""

    dedup_horizon: timedelta = 30 * DAY
    """How far behind the watermark an event of a ticket is still applied, and how long its id is kept."""
    allowed_lateness: timedelta = timedelta(minutes=10)
    """How far the watermark stays behind the latest event, where nobody tells it."""
    identity_lookback: timedelta = 30 * DAY
    """How long after its last record a weaker key still sends on what belongs to a stronger one."""
    return_horizon: timedelta = 90 * DAY
    """How long a decided lapse is remembered, and may still be returned to."""
    seen_within: timedelta = 30 * DAY
    """A wait that is `auto` lapses if what is awaited was seen for the site so long before its due time; whole days."""
    calendars: Calendars = field(default_factory=Calendars)
    expectations: tuple[Expectation, ...] = (*OF_TICKETS, *OF_PERSONS)
    """Of tickets and of persons."""
    attribution: Attribution = field(default_factory=Attribution)
    """What explains a lapse."""
    at_risk_after: float = 0.75
    """A customer is at risk when so much of the usual wait for an order is over; half of it is the median gap, which every second order exceeds."""

    @property
    def of_persons(self) -> tuple[Expectation, ...]:
        """The expectations of persons that are on."""
        return tuple(each for each in self.expectations if each.key == "person" and each.enabled != "off")
