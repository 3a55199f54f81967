"""What the fold by order is told: times, expectations, calendars."""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Literal

from pipeline.calendars import Calendars
from pipeline.case_map import CaseMap
from pipeline.case_risk import CaseRisk
from pipeline.case_signals import CaseRule
from pipeline.count_rules import CountedFor, Cut, checked
from pipeline.expectation import CASE_KEYS, Expectation, longest_waits
from pipeline.expectations import EXPECTATIONS
from pipeline.risk import RiskBands
from pipeline.rule_marks import fingerprint

DAY = timedelta(days=1)


@dataclass(frozen=True)
class FulfilmentRules:
    """All settings of the fold; every span is of event time."""

    dedup_horizon: timedelta = 30 * DAY
    """How far behind the watermark an event is still applied, and how long its id is kept."""
    allowed_lateness: timedelta = timedelta(minutes=10)
    """How far the watermark stays behind the latest event, where nobody tells it."""
    retention: timedelta = 120 * DAY
    """How long a case is remembered after its last event and its last verdict; an event that comes later begins it anew."""
    link_horizon: timedelta = 7 * DAY
    """How long a parcel waits for its order; then it is `unlinked`. An order that comes later is still taken."""
    seen_within: timedelta = 30 * DAY
    """A wait that is `auto` lapses if what is awaited was seen for the site so long before its due time; whole days."""
    promise_by: Literal["time", "day"] = "time"
    """Whether a promise holds until its time, or until the end of that day where the site is."""
    calendars: Calendars = field(default_factory=Calendars)
    journeys: CaseMap = field(default_factory=CaseMap)
    expectations: tuple[Expectation, ...] = EXPECTATIONS
    signals: CaseRule = field(default_factory=CaseRule)
    risk: CaseRisk = field(default_factory=CaseRisk)
    """How likely a wait is to lapse."""
    risk_bands: RiskBands = field(default_factory=RiskBands)
    """Which cases are told as at risk, and when again."""
    interval: timedelta = timedelta(hours=1)
    """Length of the intervals in which rollups count; divides a day."""
    count_memory: timedelta = 90 * DAY
    """How long after its interval and the longest wait that it can be of a count is still corrected; then it is frozen."""
    dimensions: tuple[str, ...] = ("device",)
    """What rollups are split by: some of count_rules.DIMENSIONS; of a case only its country is known."""
    store_events: bool = False
    """Whether every applied event becomes a row of `events`."""
    tells_people: bool = False
    """Whether somebody joins cases with what else is known of a person: `outcomes` are theirs then."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a span that is not positive, or names that stand twice."""
        for name in ("dedup_horizon", "retention", "link_horizon", "seen_within", "count_memory"):
            if getattr(self, name) < timedelta(milliseconds=1):
                message = f"{name} must be longer than nothing, not {getattr(self, name)}"
                raise ValueError(message)
        checked(self.interval, self.dimensions)
        if self.allowed_lateness < timedelta(0):
            message = f"allowed_lateness must not be negative, not {self.allowed_lateness}"
            raise ValueError(message)
        if self.seen_within < DAY or self.seen_within % DAY:
            message = f"seen_within is whole days, not {self.seen_within}"
            raise ValueError(message)
        if others := [expectation.name for expectation in self.expectations if expectation.key not in CASE_KEYS]:
            message = f"expectations of the fold by order are for each {', '.join(CASE_KEYS)}, and not {', '.join(others)}"
            raise ValueError(message)
        names = [expectation.name for expectation in self.expectations]
        if len(set(names)) < len(names):
            message = f"expectations: every name once, not {names}"
            raise ValueError(message)

    @cached_property
    def counted_for(self) -> CountedFor:
        """How counts are cut, and how long they are corrected."""
        return CountedFor(Cut(self.interval, self.dimensions), self.count_memory, longest_waits(self.expectations))

    @cached_property
    def fingerprint(self) -> str:
        """Another one for rules by which cases would be told otherwise."""
        return fingerprint(self)
