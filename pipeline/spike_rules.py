"""What the fold of spikes is told: when a series may be judged, how sure it must be, and who owns which step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pipeline.case_map import CaseMap
from pipeline.journey_map import DEFAULT_JOURNEYS, JourneyMap

DAY = timedelta(days=1)


@dataclass(frozen=True)
class SpikeRules:
    """All settings of the fold; every span is of event time. Validates itself."""

    history: timedelta = 3 * DAY
    """How long a series must have been seen before it is judged: three days tell what is usual at which hour (Source: Datadog's anomaly monitors, three periods
    of a season at least)."""
    least_n_of: int = 30
    """Of how many a share must be, in the stretch that is judged."""
    least_excess: float = 5.0
    """By how many more than expected it must be to be told."""
    least_lift: float = 1.25
    """How many times the usual share it must be."""
    least_points: float = 0.01
    """How far above the usual share it must be."""
    false_discoveries: float = 2e-5
    """Level at which the false discovery rate is held over all segments that are judged together. Where nothing is wrong, so many intervals open an alert."""
    usual_p: float = 0.05
    """An interval is usual again where so many or more are no less likely than that."""
    usual_for: int = 3
    """Intervals in a row that must be usual, at least, for an alert to be resolved; where they are too few to be told from those of the spike, more."""
    lasting: timedelta = DAY
    """How long a share must be raised to become usual; and how long an alert stays open of which nothing is heard."""
    most_series: int = 20_000
    """Series that are remembered for a partition; those beyond are counted, and an alert says so."""
    forgotten_after: timedelta = timedelta(days=30)
    """How long a series is remembered that is not seen, and an alert that was resolved."""
    critical_lift: float = 2.0
    """How many times the usual share an alert is critical at ..."""
    critical_excess: float = 20.0
    """... if it is so many more than expected as well."""
    journeys: JourneyMap = DEFAULT_JOURNEYS
    cases: CaseMap = field(default_factory=CaseMap)

    def __post_init__(self) -> None:
        """Raises: ValueError on what cannot work."""
        self._refuse(("history", "lasting", "forgotten_after"), lambda span: span > timedelta(0), "longer than nothing")
        self._refuse(("false_discoveries", "usual_p"), lambda share: 0 < share < 1, "between 0 and 1")
        self._refuse(("least_n_of", "usual_for", "most_series", "least_lift", "critical_lift"), lambda n: n >= 1, "at least 1")
        self._refuse(("least_excess", "least_points", "critical_excess"), lambda n: n >= 0, "at least 0")

    def _refuse(self, names: tuple[str, ...], is_fit: Callable[[Any], bool], what: str) -> None:
        for name in names:
            if not is_fit(getattr(self, name)):
                message = f"{name} must be {what}, not {getattr(self, name)}"
                raise ValueError(message)

    def owner(self, journey: str, step: str) -> str:
        """Team that owns the step; of all of a journey: whoever owns all of it, '' if that is nobody."""
        owners = [owner for of, name, owner in self.steps if of == journey and step in (name, "")]
        return owners[0] if len(set(owners)) == 1 else ""

    @property
    def steps(self) -> tuple[tuple[str, str, str], ...]:
        """Journey, step, owner of every step, each journey's in its order."""
        clicked = ((journey.name, step.name, step.owner) for journey in self.journeys.journeys for step in journey.steps)
        return (*clicked, *((step.journey, step.name, step.owner) for step in self.cases.steps))

    @property
    def next_steps(self) -> tuple[tuple[str, str, str], ...]:
        """Journey, step, and the step after it, of journeys that are clicked through."""
        return tuple(
            (journey.name, step.name, after.name)
            for journey in self.journeys.journeys
            for step, after in zip(journey.steps, journey.steps[1:], strict=False)
        )
