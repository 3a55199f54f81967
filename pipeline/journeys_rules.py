"""What the fold by person is told: times, expectations, calendars."""

from dataclasses import dataclass, field
from datetime import timedelta

from pipeline.attribution import Attribution
from pipeline.calendars import Calendars

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
    attribution: Attribution = field(default_factory=Attribution)
    """What explains a lapse."""
