"""What the fold by person is told: times, expectations, calendars."""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from pipeline.attribution import Attribution
from pipeline.calendars import Calendars
from pipeline.case_map import CaseMap
from pipeline.count_rules import CountedFor, Cut, checked
from pipeline.expectation import CASE_KEYS, Expectation, longest_waits
from pipeline.expectations import OF_PERSONS, OF_TICKETS
from pipeline.journey_map import DEFAULT_JOURNEYS, JourneyMap
from pipeline.rule_marks import fingerprint
from pipeline.sentiment import SentimentRule
from pipeline.ticket_signals import TicketRule

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class JourneysRules:
    """All settings of the fold; every span is of event time."""

    dedup_horizon: timedelta = 30 * DAY
    """How far behind the watermark an event of a ticket is still applied, and how long its id is kept."""
    allowed_lateness: timedelta = timedelta(minutes=10)
    """How far the watermark stays behind the latest event, where nobody tells it."""
    identity_lookback: timedelta = 30 * DAY
    """How long after its last record a weaker key still knows what lies there, and sends it on when it learns whose it is."""
    customer_memory: timedelta = 730 * DAY
    """How long after the last record a customer is remembered, and after a link whose its key is; who comes back later begins anew."""
    link_horizon: timedelta = 7 * DAY
    """How long a ticket waits to be known as somebody's; then it is `unlinked`. A link that comes later is still taken."""
    return_horizon: timedelta = 90 * DAY
    """How long a decided lapse of somebody who is no customer is remembered, and may still be returned to; those of a customer stay, for they are counted."""
    seen_within: timedelta = 30 * DAY
    """A wait that is `auto` lapses if what is awaited was seen for the site so long before its due time; whole days."""
    calendars: Calendars = field(default_factory=Calendars)
    journeys: CaseMap = field(default_factory=CaseMap)
    """Those of commerce and of support."""
    web_journeys: JourneyMap = DEFAULT_JOURNEYS
    """Those of the clickstream: a ticket and a survey may name a step of theirs."""
    expectations: tuple[Expectation, ...] = (*OF_TICKETS, *OF_PERSONS)
    """Of tickets and of persons."""
    attribution: Attribution = field(default_factory=Attribution)
    """What explains a lapse."""
    at_risk_after: float = 0.75
    """A customer is at risk when so much of the usual wait for an order is over; half of it is the median gap, which every second order exceeds."""
    ticket_signals: TicketRule = field(default_factory=TicketRule)
    sentiment: SentimentRule = field(default_factory=SentimentRule)
    interval: timedelta = HOUR
    """Length of the intervals in which rollups count; divides a day."""
    count_memory: timedelta = 90 * DAY
    """How long after its interval and the longest wait that it can be of a count is still corrected; then it is frozen."""
    dimensions: tuple[str, ...] = ("device",)
    """What rollups are split by: some of count_rules.DIMENSIONS, where a lapse says it."""
    store_events: bool = False
    """Whether every applied event of a ticket is a row of `events` too."""

    def __post_init__(self) -> None:
        """Raises: ValueError on an expectation of a document, or a name that stands twice."""
        checked(self.interval, self.dimensions)
        if others := [each.name for each in self.expectations if each.key in CASE_KEYS]:
            message = f"expectations of the fold by person are for each ticket or person, and not {', '.join(others)}"
            raise ValueError(message)
        names = [each.name for each in self.expectations]
        if len(set(names)) < len(names):
            message = f"expectations: every name once, not {names}"
            raise ValueError(message)

    @cached_property
    def counted_for(self) -> CountedFor:
        """How counts are cut, and how long they are corrected."""
        return CountedFor(Cut(self.interval, self.dimensions), self.count_memory, longest_waits(self.expectations))

    @cached_property
    def fingerprint(self) -> str:
        """Another one for rules by which people would be told otherwise."""
        return fingerprint(self)

    @property
    def of_tickets(self) -> tuple[Expectation, ...]:
        """The expectations of tickets; those that are off as well."""
        return tuple(each for each in self.expectations if each.key == "ticket")

    @property
    def of_persons(self) -> tuple[Expectation, ...]:
        """The expectations of persons that are on."""
        return tuple(each for each in self.expectations if each.key == "person" and each.enabled != "off")
