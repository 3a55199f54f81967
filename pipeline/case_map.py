"""The journeys of commerce as a shop has them: the steps that ship, or what it made of them.

Cases:   a step that was given another name or owner -> signals and expectations that ship are told at it, under its new name, and to its new owner
"""

from dataclasses import dataclass

from pipeline.case_journeys import STEPS, CaseStep


@dataclass(frozen=True)
class CaseMap:
    """All steps of all journeys, each journey's in their order."""

    steps: tuple[CaseStep, ...] = STEPS

    def __post_init__(self) -> None:
        """Raises: ValueError on a step without a journey or an owner, a name that stands twice, or an event type of two steps."""
        names, whose = set[tuple[str, str]](), dict[str, CaseStep]()
        for step in self.steps:
            if not step.journey or not step.owner:
                message = f"step {step.name!r} of journey {step.journey!r}: a step has a journey and an owner"
                raise ValueError(message)
            if (step.journey, step.name) in names:
                message = f"journey {step.journey!r}: there are two steps of the name {step.name!r}"
                raise ValueError(message)
            names.add((step.journey, step.name))
            for event_type in step.event_types:
                other = whose.setdefault(event_type, step)
                if other is not step:
                    message = (
                        f"step {step.name!r} of journey {step.journey!r}: {event_type} belongs to step {other.name!r} "
                        f"of journey {other.journey!r}; an event type belongs to one step"
                    )
                    raise ValueError(message)

    def step(self, journey: str, name: str) -> CaseStep:
        """The step that ships under this name; where it is none, that of the names which a shop gives itself. Raises: KeyError if there is neither."""
        known = {(each.journey, each.known_as): each for each in self.steps}
        return known[journey, name] if (journey, name) in known else known[journey, ""]
