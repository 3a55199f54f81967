"""Settings of the signals: one section each, made from the rule that the signal brings along; and signals of the user's own."""

from dataclasses import fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Optional, Self, cast, get_args, get_type_hints

from pydantic import AfterValidator, BeforeValidator, Field, create_model, model_validator

from agents.settings_section import NONE, Section, attribute_docs
from pipeline.conditions import condition
from pipeline.definitions import DEFAULT, OWN_PLACES, AnySignal, Own
from pipeline.own_signals import EVERYTHING, OwnRule, known_types, own_signal
from pipeline.signals import SIGNALS


class SignalSettings(Section):
    """One signal: whether it is looked for, and with which rule. Each signal's own section has the numbers of its rule beside these."""

    enabled: bool = True
    """Whether it is looked for."""
    profile: str = DEFAULT
    """Whose rule it is: ours (`default`), or one that a product published; numbers given beside it change it."""

    def applied(self, signal: AnySignal, of_all: str = DEFAULT) -> AnySignal:
        """The signal with this rule; `of_all` is the profile where this section names none, and the signal has it.

        Raises: ValueError on a profile that is none, or a rule that contradicts itself
        """
        profile = self.profile if "profile" in self.model_fields_set or of_all not in signal.profiles else of_all
        whose = signal if profile == DEFAULT else signal.with_profile(profile)
        said = {name: getattr(self, name) for name in self.model_fields_set - set(SignalSettings.model_fields)}
        return whose.with_rule(**{name: number for name, number in said.items() if number != getattr(whose.rule, name)})


def _free_name(name: str) -> str:
    if name in {"own", "profile", *(signal.name for signal in SIGNALS)}:
        raise ValueError("a signal that ships with Ebbtide has this name")
    return name


def _askable(where: str) -> str:
    condition(where)
    return where


class OwnSignalSettings(Section):
    """A signal of your own: so many events of some types that fulfil a condition, within a time, are one signal."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60, examples=["coupon_hunt"]), AfterValidator(_free_name)]
    """Its name, in tables and settings; none that a signal has."""
    event_types: Annotated[tuple[str, ...], Field(examples=[["coupon_rejected", "coupon_applied"]]), AfterValidator(known_types)]
    """Types of the events that are looked at."""
    where: Annotated[str, Field(examples=["amount_minor > 10000 AND coupon IS NOT NULL"]), AfterValidator(_askable)] = EVERYTHING
    """What must hold of such an event: a condition of SQL over the columns of the contract; null is no."""
    count: Annotated[int, Field(examples=[3])] = 1
    """So many such events make it a signal; 1 to 100."""
    within_s: Annotated[int | None, Field(examples=[120])] = None
    """Longest event time from the first of them to the last, s, inclusive; needed if and only if `count` is more than 1; at most a day."""
    weight: Annotated[float, Field(gt=0, le=100, examples=[15.0])]
    """Points that one firing adds to the friction score."""
    owner: Annotated[str, Field(examples=["marketing"])] = ""
    """Team that answers for it; empty: that of the step."""
    journey: Annotated[str, Field(examples=["shop"])] = ""
    """Journey of `step`."""
    step: Annotated[str, Field(examples=["cart"])] = ""
    """Step at which it is told wherever it fires; empty: that of the event, else the furthest one reached by then."""
    meaning: Annotated[str, Field(min_length=1, examples=["Coupon after coupon is tried on a large cart."])]
    """One sentence for people."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Raises: ValueError, see `OwnRule`; and on half a step."""
        if bool(self.journey) != bool(self.step):
            raise ValueError("journey and step must be given together")
        self.signal(0)
        return self

    def signal(self, number: int) -> AnySignal:
        """The signal, the so manieth of them. Raises: ValueError, see `OwnRule`."""
        rule = OwnRule(self.event_types, self.where, self.count, self.within_s)
        return own_signal(self.name, rule, Own(OWN_PLACES[number], self.weight, self.owner, self.journey, self.step), self.meaning)


class Signals(Section):
    """Friction that is looked for: a section for each signal, by its name."""

    profile: str = DEFAULT
    """Whose rules they are, of every signal for which this product published one and whose own section names none; ours (`default`) of the others."""
    own: tuple[OwnSignalSettings, ...] = ()
    """Signals of your own."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Raises: ValueError on a profile that no signal has, too many signals, two of one name, and see `SignalSettings.applied`."""
        known = [DEFAULT, *dict.fromkeys(name for signal in SIGNALS for name in signal.profiles)]
        if self.profile not in known:
            near = get_close_matches(self.profile, known, n=1, cutoff=0.0)[0]
            message = f"profile: no signal has a profile {self.profile!r}; the nearest is {near!r}; there is {', '.join(known)}"
            raise ValueError(message)
        if len(self.own) > len(OWN_PLACES):
            message = f"own: there may be {len(OWN_PLACES)} signals of your own, not {len(self.own)}"
            raise ValueError(message)
        names = [each.name for each in self.own]
        if twice := [name for name in names if names.count(name) > 1]:
            message = f"own: there are two signals of the name {twice[0]!r}"
            raise ValueError(message)
        self.applied()
        return self

    def applied(self) -> tuple[AnySignal, ...]:
        """The signals that are looked for, in order, each with its rule. Raises: ValueError, see `SignalSettings.applied`."""
        asked = ((signal, cast("SignalSettings", getattr(self, signal.name))) for signal in SIGNALS)
        ours = (settings.applied(signal, self.profile) for signal, settings in asked if settings.enabled)
        return (*ours, *(each.signal(number) for number, each in enumerate(self.own)))


def signal_section(signal: AnySignal) -> type[SignalSettings]:
    """The section of a signal: `SignalSettings`, and the fields of its rule with their defaults."""
    rule = type(signal.rule)
    hints, said = get_type_hints(rule), attribute_docs(rule)
    numbers: dict[str, Any] = {
        each.name: (_or_none(hints[each.name]), Field(getattr(signal.rule, each.name), description=said.get(each.name)))
        for each in fields(signal.rule)
    }

    def fit(settings: SignalSettings) -> SignalSettings:
        """Raises: ValueError, see `applied`."""
        settings.applied(signal)
        return settings

    return create_model(
        f"{rule.__name__}Settings",
        __base__=SignalSettings,
        __doc__=signal.meaning,
        __validators__={"fit": cast("Any", model_validator(mode="after")(fit))},
        **numbers,
    )


def _or_none(hint: Any) -> Any:
    if type(None) not in get_args(hint):
        return hint
    return Annotated[Optional[hint], BeforeValidator(lambda said: None if said == NONE else said)]  # noqa: UP045 - the hint is a value


if TYPE_CHECKING:
    SignalsSettings = Signals
else:
    SignalsSettings = create_model(
        "SignalsSettings",
        __base__=Signals,
        __doc__="Friction that is looked for.",
        **{signal.name: (section, section()) for signal in SIGNALS for section in [signal_section(signal)]},
    )
