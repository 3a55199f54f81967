"""Settings of the journeys of commerce: who owns a step, what it is called, and steps of the shop's own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from agents.settings_section import Section, nearest, not_empty, one_of
from pipeline.case_journeys import STEPS, CaseStep
from pipeline.case_map import CaseMap
from schemas.contracts import event_types

NAMED_BY_SHOP = "*"
"""What settings say for the steps that the shop's events name themselves."""

JOURNEYS = tuple(dict.fromkeys(step.journey for step in STEPS))
TYPES = (*event_types("order"), *event_types("delivery"), *event_types("ticket"))


def known_types(names: tuple[str, ...] | None, known: Sequence[str] = TYPES) -> tuple[str, ...] | None:
    """These types of events. Raises: ValueError on one that is none."""
    for name in names or ():
        if name not in known:
            message = f"{name!r} is no event type of orders, deliveries and tickets; the nearest is {nearest(name, known)!r}"
            raise ValueError(message)
    return names


class CaseStepSettings(Section):
    """A step of a journey of commerce: one that ships, of which just what is given changes, or one of your own."""

    journey: Annotated[str, Field(examples=["order"]), one_of(JOURNEYS)]
    """Journey of the step: order, return, rfq, approval, onboarding, process, support."""
    step: Annotated[str, Field(examples=["shipped"]), AfterValidator(not_empty)]
    """Its name as it ships (`*`: every step that your own events name), or that of a new one."""
    owner: Annotated[str | None, Field(examples=["fulfilment team"]), AfterValidator(not_empty)] = None
    """Team that answers for it; what is expected at it, and was the old owner's, is the new one's."""
    name: Annotated[str | None, Field(examples=["dispatched"]), AfterValidator(not_empty)] = None
    """Another name for one that ships, in tables."""
    event_types: Annotated[tuple[str, ...] | None, Field(examples=[["order_shipped"]]), AfterValidator(known_types)] = None
    """Types of orders, deliveries and tickets that belong to it; each belongs to one step."""
    after: Annotated[str | None, Field(examples=["confirmed"])] = None
    """Of a new one: the step that comes before it."""

    @property
    def ships(self) -> CaseStep | None:
        """The step that ships under this name."""
        name = "" if self.step == NAMED_BY_SHOP else self.step
        return next((each for each in STEPS if (each.journey, each.name) == (self.journey, name)), None)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Raises: ValueError on a new step of which something is missing, or a change that says nothing."""
        names = [each.name or NAMED_BY_SHOP for each in STEPS if each.journey == self.journey]
        if self.ships is None:
            lacks = [name for name in ("owner", "event_types", "after") if getattr(self, name) is None]
            if lacks:
                message = (
                    f"journey {self.journey!r} has no step {self.step!r}; the nearest is {nearest(self.step, names)!r}; "
                    f"a step of your own needs {', '.join(lacks)} as well"
                )
                raise ValueError(message)
            if self.name is not None:
                raise ValueError("name: a step of your own is called what `step` says")
        elif self.after is not None:
            message = f"after: step {self.step!r} ships with Ebbtide and stays where it is"
            raise ValueError(message)
        elif self.name is not None and self.step == NAMED_BY_SHOP:
            raise ValueError("name: these steps are named by your events")
        return self


def case_map(said: Sequence[CaseStepSettings]) -> CaseMap:
    """The journeys with these changes, in their order. Raises: ValueError on two changes of one step, an unknown `after`, and see `CaseMap`."""
    steps = list(STEPS)
    seen = set[tuple[str, str]]()
    for each in said:
        if (each.journey, each.step) in seen:
            message = f"step {each.step!r} of journey {each.journey!r} is set twice"
            raise ValueError(message)
        seen.add((each.journey, each.step))
        ships = each.ships
        if ships is None:
            steps = _with(steps, each)
        else:
            place = next(at for at, step in enumerate(steps) if (step.journey, step.known_as) == (ships.journey, ships.name))
            steps[place] = _changed(steps[place], each)
    return CaseMap(tuple(steps))


def _changed(step: CaseStep, said: CaseStepSettings) -> CaseStep:
    given: dict[str, Any] = {name: getattr(said, name) for name in ("owner", "event_types") if getattr(said, name) is not None}
    if said.name is not None:
        given |= {"name": said.name, "ships_as": step.known_as}
    return replace(step, **given)


def _with(steps: Sequence[CaseStep], said: CaseStepSettings) -> list[CaseStep]:
    """These steps and one of the user's own; those behind it move up."""
    of_journey = [step for step in steps if step.journey == said.journey]
    names = [step.known_as or NAMED_BY_SHOP for step in of_journey]
    assert said.after is not None, "looked at when it was made"
    assert said.owner is not None
    assert said.event_types is not None
    if said.after not in names:
        message = (
            f"step {said.step!r} of journey {said.journey!r}: after: there is no step {said.after!r} before it; "
            f"the nearest is {nearest(said.after, names)!r}"
        )
        raise ValueError(message)
    place = steps.index(of_journey[names.index(said.after)]) + 1
    index = steps[place - 1].index + 1
    behind = [
        replace(step, index=step.index + 1) if step.journey == said.journey and step.index >= index else step
        for step in steps[place:]
    ]
    return [*steps[:place], CaseStep(said.journey, said.step, index, said.owner, said.event_types), *behind]
