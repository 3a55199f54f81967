"""What the sessions fold is told: times, journeys, signals, what to count."""

from dataclasses import dataclass, field
from datetime import timedelta

from pipeline.count_rules import Cut, checked
from pipeline.definitions import AnySignal
from pipeline.expectation import CUSTOMER_SILENCE, RECOVERY
from pipeline.journey_map import DEFAULT_JOURNEYS, JourneyMap
from pipeline.risk import RiskBands
from pipeline.session_risk import SessionRisk
from pipeline.signals import SIGNALS


@dataclass(frozen=True)
class SessionRules:
    """All settings of the fold; every span is of event time."""

    gap: timedelta = timedelta(minutes=30)
    """Silence after which a visit has ended, and which parts two visits of an emitter without `session_id`."""
    retention: timedelta = timedelta(hours=24)
    """How long after its last event a session with an emitter's id goes on when the id comes again; not shorter than `gap`."""
    dedup_horizon: timedelta = timedelta(hours=1)
    """How far behind the watermark an event is still applied, and how long its id is kept."""
    allowed_lateness: timedelta = timedelta(minutes=1)
    """How far the watermark stays behind the latest event."""
    id_memory: timedelta = timedelta(days=7)
    """How long it is remembered that an emitter's id was used, after its session has left the state."""
    journeys: JourneyMap = DEFAULT_JOURNEYS
    signals: tuple[AnySignal, ...] = SIGNALS
    interval: timedelta = timedelta(minutes=5)
    """Length of the intervals in which rollups count; divides a day."""
    dimensions: tuple[str, ...] = ("device",)
    """What rollups are split by: some of count_rules.DIMENSIONS."""
    store_events: bool = False
    """Whether every applied event becomes a row of `events`."""
    send_every: timedelta = timedelta(minutes=1)
    """How often an open session that only goes on is sent again."""
    silence: timedelta = CUSTOMER_SILENCE
    """How long after the end of a visit that was left with a full cart it is silent, if nobody orders or turns to support."""
    recovery: timedelta = RECOVERY
    """How long after it an order has recovered it; later it is a return."""
    tells_people: bool = False
    """Whether somebody joins visits with what else is known of a person: `outcomes` are theirs then."""
    risk: SessionRisk = field(default_factory=SessionRisk)
    """How likely an open visit is to be left."""
    risk_bands: RiskBands = field(default_factory=RiskBands)
    """Which of them are told, and when again."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a span that is not positive, or does not fit another."""
        spans = ("gap", "retention", "dedup_horizon", "id_memory", "interval", "send_every", "silence", "recovery")
        for name in spans:
            if getattr(self, name) < timedelta(milliseconds=1):
                message = f"{name} must be longer than nothing, not {getattr(self, name)}"
                raise ValueError(message)
        if self.allowed_lateness < timedelta(0):
            message = f"allowed_lateness must not be negative, not {self.allowed_lateness}"
            raise ValueError(message)
        self._own_signals_are_at_a_step()
        if self.retention < self.gap:
            message = f"retention ({self.retention}) must not be shorter than gap ({self.gap})"
            raise ValueError(message)
        checked(self.interval, self.dimensions)

    @property
    def cut(self) -> Cut:
        """How counts are cut."""
        return Cut(self.interval, self.dimensions)

    def _own_signals_are_at_a_step(self) -> None:
        """Raises: ValueError on a user's own signal whose step no journey has."""
        known = {journey.name: [step.name for step in journey.steps] for journey in self.journeys.journeys}
        for signal in self.signals:
            own = signal.own
            if own is not None and own.step and own.step not in known.get(own.journey, ()):
                there = known.get(own.journey)
                has = f"journey {own.journey!r} has {', '.join(there)}" if there else f"there is no journey {own.journey!r}"
                message = f"signal {signal.name}: no step {own.step!r}: {has}"
                raise ValueError(message)
