"""`ebbtide schemas`: our contracts in the Schema Registry of the settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from agents import terminal
from agents.cli_options import Json, SettingsFile
from agents.settings import Settings
from agents.settings_sources import Problem, SettingsWrong, load

if TYPE_CHECKING:
    from agents.schema_subjects import Contracts, Subject

# ruff: noqa: PLC0415 - a command imports what it needs, see cli

schemas = typer.Typer(name="schemas", help="The event contracts in a Schema Registry.", no_args_is_help=True)


@schemas.command()
def register(*, as_json: Json = False, settings: SettingsFile = None) -> None:
    """Register every contract that is not there yet, and hold its subject to BACKWARD compatibility.

    If one of them cannot read what its subject's latest version wrote, nothing is registered.
    """
    with _contracts(load(settings)) as contracts:
        found = contracts.registered()
    _tell(found, as_json=as_json, otherwise="nothing was registered")


@schemas.command()
def check(*, as_json: Json = False, settings: SettingsFile = None) -> None:
    """Say which contracts are there and which would be refused; nothing is changed."""
    with _contracts(load(settings)) as contracts:
        found = contracts.looked_at()
    _tell(found, as_json=as_json, otherwise="`ebbtide schemas register` would be refused")


@contextmanager
def _contracts(settings: Settings) -> "Iterator[Contracts]":
    from agents.schema_subjects import Contracts, subjects

    kafka = settings.kafka
    if kafka.schema_registry_url is None:
        message = "no Schema Registry is set; without one nothing need be registered, the ids are those that ship with Ebbtide"
        raise SettingsWrong([Problem("kafka.schema_registry_url", message)])
    contracts = Contracts(kafka.schema_registry_url, subjects(kafka.clickstream_topic, kafka.prefix, settings.publish.tables))
    try:
        yield contracts
    finally:
        contracts.close()


def _tell(found: "list[Subject]", *, as_json: bool, otherwise: str) -> None:
    """Show it. Raises: typer.Exit if a contract is incompatible."""
    from agents.schema_subjects import INCOMPATIBLE

    wrong = [subject for subject in found if subject.verdict == INCOMPATIBLE]
    if as_json:
        terminal.say_json({"ok": not wrong, "subjects": [subject.as_json() for subject in found]})
    else:
        rows = [
            (
                each.name,
                each.verdict,
                *("" if n is None else n for n in (each.version, each.schema_id)),
                each.level or "(registry's)",
                each.detail,
            )
            for each in found
        ]
        names = ("subject", "contract", "version", "id", "compatibility", "detail")
        terminal.told().print(terminal.table(names, rows, numbers=(2, 3)))
    if wrong:
        terminal.error(f"{', '.join(each.name for each in wrong)}: our contract cannot read what stands there; {otherwise}")
        raise typer.Exit(1)
