"""Settings of the signals: one section each, made from the rule that the signal brings along."""

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Optional, cast, get_args, get_type_hints

from pydantic import BeforeValidator, Field, create_model, model_validator

from agents.settings_section import Section, attribute_docs
from pipeline.definitions import DEFAULT, AnySignal
from pipeline.signals import SIGNALS

NONE = "none"
"""What settings say for None, which TOML does not know: no limit."""


class SignalSettings(Section):
    """One signal: whether it is looked for, and with which rule. Each signal's own section has the numbers of its rule beside these."""

    enabled: bool = True
    """Whether it is looked for."""
    profile: str = DEFAULT
    """Whose rule it is: ours (`default`), or one that a product published; numbers given beside it change it."""

    def applied(self, signal: AnySignal) -> AnySignal:
        """The signal with this rule. Raises: ValueError on a profile that is none, or a rule that contradicts itself."""
        whose = signal if self.profile == DEFAULT else signal.with_profile(self.profile)
        said = {name: getattr(self, name) for name in self.model_fields_set - set(SignalSettings.model_fields)}
        return whose.with_rule(**{name: number for name, number in said.items() if number != getattr(whose.rule, name)})


class Signals(Section):
    """Friction that is looked for: a section for each signal, by its name."""

    def applied(self) -> tuple[AnySignal, ...]:
        """The signals that are looked for, in order, each with its rule. Raises: ValueError, see `SignalSettings.applied`."""
        asked = ((signal, cast("SignalSettings", getattr(self, signal.name))) for signal in SIGNALS)
        return tuple(settings.applied(signal) for signal, settings in asked if settings.enabled)


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
