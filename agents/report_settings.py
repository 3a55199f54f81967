"""Settings of the report: from where a measure is good, and a sign holds, where a shop knows better than we do."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from agents.settings_section import Section
from pipeline.signs import SIGNS, Sign, with_borders
from pipeline.verdicts import VerdictRules


class MeasureBorders(Section):
    """Other borders of one measure; what is not said stays as it ships."""

    name: Annotated[str, Field(examples=["first_reply_min"])]
    """As in `sinks/signs/README.md`."""
    good: Annotated[float | None, Field(examples=[15.0])] = None
    """From here on it is good, in its own unit: 100 points."""
    poor: Annotated[float | None, Field(examples=[120.0])] = None
    """Here it is poor: no points."""
    min_n: Annotated[int | None, Field(ge=1, examples=[10])] = None
    """Of fewer it says nothing."""


class SignBorders(Section):
    """Other borders of one sign; likewise."""

    name: Annotated[str, Field(examples=["help_for_simple_tasks"])]
    """As in `sinks/signs/README.md`."""
    threshold: Annotated[float | None, Field(gt=0, le=1, examples=[0.1])] = None
    """From this share on it holds."""
    min_n: Annotated[int | None, Field(ge=1, examples=[30])] = None
    """Of fewer it is not judged."""


class ReportSettings(Section):
    """When service and experience are strong, and the ten signs hold."""

    strong_from: Annotated[float, Field(gt=0, lt=100)] = 50
    """A side with so many points of 100 is strong."""
    min_measures: Annotated[int, Field(ge=1)] = 2
    """A side that was judged by fewer measures has no verdict."""
    measures: tuple[MeasureBorders, ...] = ()
    """Other borders of measures."""
    signs: tuple[SignBorders, ...] = ()
    """Other borders of signs."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Raises: ValueError, see `verdicts` and `signs_applied`."""
        self.verdicts()
        self.signs_applied()
        return self

    def verdicts(self) -> VerdictRules:
        """What verdicts are made by. Raises: ValueError on a measure that is none, or borders that tell nothing apart."""
        rules = VerdictRules(strong_from=self.strong_from, min_measures=self.min_measures)
        for each in self.measures:
            rules = rules.with_borders(each.name, each.good, each.poor, each.min_n)
        return rules

    def signs_applied(self) -> tuple[Sign, ...]:
        """The signs with these borders. Raises: ValueError on a sign that is none."""
        signs: tuple[Sign, ...] = SIGNS
        for each in self.signs:
            signs = with_borders(signs, each.name, each.threshold, each.min_n)
        return signs
