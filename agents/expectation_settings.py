"""Settings of expectations: those that ship, changed where something is given, and expectations of the user's own."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from agents.case_settings import TYPES, known_types
from agents.settings_section import NONE, Section, nearest, not_empty, one_of
from pipeline.attribution import ORDER_AFTER_COMMIT
from pipeline.calendars import ALWAYS_OPEN, WORKING_HOURS
from pipeline.case_journeys import STEPS
from pipeline.case_map import CaseMap
from pipeline.expectation import DERIVED, DUE_FIELDS, KEYS, Expectation
from pipeline.expectations import CATALOGUE
from schemas.contracts import event_types

SOURCE = "settings: [[expectations]]"
NAMES = tuple(each.name for each in CATALOGUE)

_KNOWN = (*TYPES, *DERIVED)
_OF_TICKETS: tuple[str, ...] = event_types("ticket")
_TYPES_OF: dict[str, tuple[str, ...]] = {"ticket": _OF_TICKETS}
"""Key -> types that come to its waits; of the other keys all but those of tickets."""
_OF_ORDERS = tuple(name for name in _KNOWN if name not in _OF_TICKETS)


def _or_none(said: Any) -> Any:
    return None if said == NONE else said


def _awaited(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return known_types(names, _KNOWN)


def _some(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if names == ():
        raise ValueError("at least one event type must be named")
    return names


Types = Annotated[tuple[str, ...] | None, AfterValidator(_awaited)]
Span = Annotated[Annotated[float, Field(ge=0)] | None, BeforeValidator(_or_none)]


class ExpectationSettings(Section):
    """Something good that should follow. The name of one that ships: just what is given changes. Another name: one of your own."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60, examples=["invoice_after_shipping"])]
    """Its name, in tables and settings; `ebbtide expectations` lists those that ship."""
    meaning: Annotated[str | None, Field(examples=["A company gets its invoice when its goods are on the way."])] = None
    """One sentence for people."""
    key: Annotated[str | None, Field(examples=["order"]), one_of(KEYS)] = None
    """Of what there is one wait: order, parcel, step, return, ticket or person; an order if nothing is said."""
    after: Annotated[Types, Field(examples=[["order_shipped"]]), AfterValidator(_some)] = None
    """Event types that begin a wait."""
    expect: Annotated[Types, Field(examples=[["step_completed"]]), AfterValidator(_some)] = None
    """Event types that end it well."""
    unless: Annotated[Types, Field(examples=[["order_cancelled"]])] = None
    """Event types that void it: nobody waits any more, and nothing has lapsed."""
    at_once: Annotated[Types, Field(examples=[["expired"]])] = None
    """Event types at which it is due."""
    within_h: Annotated[Span, Field(examples=[24.0])] = None
    """How long the wait is, h; beside `due`: where the event says nothing; beside a rhythm (`next_order`): where there is none yet."""
    due: Annotated[str | None, Field(examples=["due_at"]), one_of(DUE_FIELDS), BeforeValidator(_or_none)] = None
    """Field of the event of `after` that says when it is due: due_at, promised_at; `none`: no field."""
    calendar: Annotated[str | None, Field(examples=["working"]), one_of((ALWAYS_OPEN, WORKING_HOURS))] = None
    """Whether `within_h` counts all hours (always), or the hours of the site in `[[calendars]]` (working)."""
    re_arm: Annotated[str | None, Field(examples=["latest"]), one_of(("first", "latest"))] = None
    """Whether the wait stays with the first event of `after`, or moves to the latest."""
    journey: Annotated[str | None, Field(examples=["order"]), AfterValidator(not_empty)] = None
    """Journey of `step`."""
    step: Annotated[str | None, Field(examples=["shipped"]), AfterValidator(not_empty)] = None
    """The step at which it lapses."""
    owner: Annotated[str | None, Field(examples=["accounting"]), AfterValidator(not_empty)] = None
    """Team that answers for it; of one that ships, if nothing is said: that of the step, where it was the step's."""
    silence_h: Annotated[Span, Field(examples=[72.0])] = None
    """How long after its due time it is silent, h; 72 if nothing is said."""
    recovery_d: Annotated[Span, Field(examples=[7.0])] = None
    """How long after its due time what comes has recovered it, d; later it is a return. 7 if nothing is said."""
    enabled: Annotated[str | None, Field(examples=["auto"]), one_of(("auto", "on", "off"))] = None
    """on, off, or auto: it lapses only where the site is known to send what is awaited."""

    @property
    def ships(self) -> Expectation | None:
        """The one that ships under this name."""
        return next((each for each in CATALOGUE if each.name == self.name), None)

    @property
    def given(self) -> dict[str, Any]:
        """What is said, as an expectation has it."""
        said = {name: getattr(self, name) for name in self.model_fields_set - {"name", "within_h", "silence_h", "recovery_d"}}
        spans = (("within", "within_h", 1), ("silence", "silence_h", 1), ("recovery", "recovery_d", 24))
        for name, field, hours in spans:
            if field in self.model_fields_set:
                span = getattr(self, field)
                said[name] = None if span is None else timedelta(hours=span * hours)
        return said

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Raises: ValueError, see `expectation`."""
        if self.name == ORDER_AFTER_COMMIT:
            message = (
                f"{self.name!r} is told by visits, and is no setting here: its times are set in [sessions]: gap_min, silence_h, recovery_d; "
                "its steps and owners are those of [[journeys]]; call one of your own otherwise"
            )
            raise ValueError(message)
        for name in sorted(self.model_fields_set - {"within_h", "due"}):
            if getattr(self, name) is None:
                message = f"{name}: it has no value {NONE!r}"
                raise ValueError(message)
        if self.ships is None:
            self._whole()
        self._of_key()
        found = self.expectation()
        if found.enabled == "auto" and set(found.expect) <= set(DERIVED):
            message = f"enabled: auto asks whether a site sends what is awaited, and nobody sends {', '.join(found.expect)}: say on"
            raise ValueError(message)
        return self

    def _of_key(self) -> None:
        key: str = self.key or ("order" if self.ships is None else self.ships.key)
        known = _TYPES_OF.get(key, _OF_ORDERS)
        for field in ("after", "expect", "unless", "at_once"):
            for name in getattr(self, field) or ():
                if name not in known:
                    message = f"{field}: {name!r} never comes to a wait for each {key}; the nearest is {nearest(name, known)!r}"
                    raise ValueError(message)

    def _whole(self) -> None:
        needed = [name for name in ("after", "expect", "journey", "step", "owner") if name not in self.model_fields_set]
        if self.within_h is None and self.due is None:
            needed.append("within_h or due")
        if needed:
            message = (
                f"no expectation {self.name!r} ships with Ebbtide; the nearest is {nearest(self.name, NAMES)!r}; "
                f"one of your own needs {', '.join(needed)} as well"
            )
            raise ValueError(message)

    def expectation(self) -> Expectation:
        """The value. Raises: ValueError, see `Expectation`."""
        ships, given = self.ships, self.given
        if ships is None:
            return Expectation(**{"name": self.name, "meaning": "", "source": SOURCE} | given)
        if not given:
            return ships
        return replace(ships, **given, source=f"{ships.source} Changed in the settings: {', '.join(sorted(given))}.")


def applied(said: Sequence[ExpectationSettings], journeys: CaseMap) -> tuple[Expectation, ...]:
    """All expectations: those that ship, and the user's own behind them. Raises: ValueError on two of one name, or a step that is none."""
    names = [each.name for each in said]
    if twice := [name for name in names if names.count(name) > 1]:
        message = f"{twice[0]!r} is set twice"
        raise ValueError(message)
    of_names = {each.name: each for each in said}
    ships = [_placed(each, of_names.pop(each.name, None), journeys) for each in CATALOGUE]
    return (*ships, *(_placed(None, each, journeys) for each in of_names.values()))


def _placed(ships: Expectation | None, said: ExpectationSettings | None, journeys: CaseMap) -> Expectation:
    """One of them, at its step as the shop calls it, and its owner's who has it there."""
    if said is not None:
        _known_step(said, journeys)
    expectation = ships if said is None else said.expectation()
    assert expectation is not None, "it ships or is said"
    given = frozenset[str]() if said is None else said.model_fields_set
    if ships is None or given & {"journey", "step"}:
        return expectation
    try:
        was, is_now = CaseMap().step(ships.journey, ships.step), journeys.step(ships.journey, ships.step)
    except KeyError:
        return expectation
    owner = is_now.owner if ships.owner == was.owner and "owner" not in given else expectation.owner
    return replace(expectation, step=is_now.name or ships.step, owner=owner)


def _known_step(said: ExpectationSettings, journeys: CaseMap) -> None:
    """Raises: ValueError on a journey or a step that nobody knows."""
    if said.journey is None and said.step is None:
        return
    journey = said.expectation().journey
    ours = [(each.journey, each.step) for each in CATALOGUE]
    known = {*((step.journey, step.name) for step in (*STEPS, *journeys.steps)), *ours}
    of_journeys = sorted({each for each, _ in known})
    if journey not in of_journeys:
        message = f"{said.name!r}: journey: one of {', '.join(of_journeys)}; the nearest is {nearest(journey, of_journeys)!r}, not {journey!r}"
        raise ValueError(message)
    steps = [step for each, step in sorted(known) if each == journey]
    step = said.expectation().step
    if step not in steps and "" not in steps:
        message = f"{said.name!r}: step: one of {', '.join(steps)} of journey {journey!r}; the nearest is {nearest(step, steps)!r}, not {step!r}"
        raise ValueError(message)
