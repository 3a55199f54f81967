"""Settings of what others can subscribe to."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from agents.settings_section import Section

Published = Literal["signals", "outcomes", "alerts", "at_risk"]


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := [name for name in names if names.count(name) > 1]:
        message = f"{twice[0]} stands there twice"
        raise ValueError(message)
    return names


class PublishSettings(Section):
    """What others can subscribe to: rows as Avro records, on the topic `PREFIX.TABLE`."""

    tables: Annotated[tuple[Published, ...], AfterValidator(_each_once)] = ("alerts", "at_risk")
    """Tables whose rows are published: signals, outcomes, alerts, at_risk."""
