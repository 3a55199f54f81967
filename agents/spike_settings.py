"""Settings of spikes: how sure an alert must be, and how large what it tells."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from agents.settings_section import Section
from pipeline.case_map import CaseMap
from pipeline.journey_map import JourneyMap
from pipeline.spike_rules import SpikeRules

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]


class SpikeSettings(Section):
    """When a share that rose is an alert."""

    enabled: bool = True
    """Whether rates are watched at all."""
    history_h: Positive = 72
    """How long a series must have been seen before it is judged: until then nobody knows what is usual, hours."""
    least_n_of: Annotated[int, Field(ge=1)] = 30
    """Of how many a share must be to be judged."""
    least_excess: Annotated[float, Field(ge=0)] = 5
    """By how many more than expected it must be to be told."""
    least_lift: Annotated[float, Field(ge=1)] = 1.25
    """How many times what is usual it must be."""
    least_points: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """How far above what is usual it must be: 0.01 is one in a hundred."""
    false_discoveries: Share = 2e-5
    """Level of the false discovery rate over all segments that are judged together. Where nothing is wrong, an alert opens in so many intervals: 0.00002 is about one in 174 days of
    intervals of five minutes, for each rule."""
    usual_p: Share = 0.05
    """An interval is usual again where so many or more are no less likely than that."""
    usual_for: Annotated[int, Field(ge=1)] = 3
    """Intervals in a row that must be usual, at least, for an alert to be resolved; where they are too few to be told from those of the spike, more."""
    lasting_h: Positive = 24
    """How long a share must be raised to become usual; and how long an alert stays open of which nothing is heard, hours."""
    most_series: Annotated[int, Field(ge=1)] = 20_000
    """Series that are remembered, a segment and what is counted of it each; an alert says how many are beyond."""
    forgotten_after_d: Positive = 30
    """How long a series is remembered that is not seen any more, days."""
    critical_lift: Annotated[float, Field(ge=1)] = 2
    """How many times what is usual makes an alert critical ..."""
    critical_excess: Annotated[float, Field(ge=0)] = 20
    """... if it is by so many more than expected as well."""

    def rules(self, journeys: JourneyMap, cases: CaseMap) -> SpikeRules:
        """What the fold of spikes is told."""
        return SpikeRules(
            timedelta(hours=self.history_h),
            self.least_n_of,
            self.least_excess,
            self.least_lift,
            self.least_points,
            self.false_discoveries,
            self.usual_p,
            self.usual_for,
            timedelta(hours=self.lasting_h),
            self.most_series,
            timedelta(days=self.forgotten_after_d),
            self.critical_lift,
            self.critical_excess,
            journeys,
            cases,
        )
