"""Settings of the journeys of the web: their steps, and which events belong to each."""

from typing import Self

from pydantic import model_validator

from agents.settings_section import Section
from pipeline.journey_map import Journey, JourneyStep


class StepSettings(Section):
    """A step of a journey, and which events belong to it."""

    name: str
    """Its name, in tables and settings."""
    owner: str
    """Team that answers for it."""
    event_types: tuple[str, ...] = ()
    """Types of events that belong to it."""
    page_types: tuple[str, ...] = ()
    """Types of pages whose events belong to it."""
    pages: tuple[str, ...] = ()
    """Patterns of pages whose events belong to it; `*` stands for any characters."""
    steps: tuple[str, ...] = ()
    """Names that the emitter gives it in `step`, beside its own."""


class JourneySettings(Section):
    """A journey: its steps in their order."""

    name: str
    """Its name, in tables and settings."""
    commit_step: str
    """Whoever goes quiet here or later has abandoned."""
    goal: str
    """Whoever gets here has not."""
    steps: tuple[StepSettings, ...]
    """Its steps, in their order."""

    @classmethod
    def of(cls, journey: Journey) -> Self:
        """Settings that say this journey."""
        names = StepSettings.model_fields
        steps = tuple(StepSettings(**{name: getattr(step, name) for name in names}) for step in journey.steps)
        return cls(name=journey.name, commit_step=journey.commit_step, goal=journey.goal, steps=steps)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Raises: ValueError, see `journey`."""
        self.journey()
        return self

    def journey(self) -> Journey:
        """The value. Raises: ValueError if it contradicts itself."""
        return Journey(self.name, tuple(JourneyStep(**step.model_dump()) for step in self.steps), self.commit_step, self.goal)
