"""`ebbtide expectations`: what should happen after what, by when, who answers for it, and where it is on."""

from typing import TYPE_CHECKING, Annotated

import typer

from agents import terminal
from agents.cli_options import FOLDER, Dsn, Json, SettingsFile
from agents.settings_sources import load

if TYPE_CHECKING:
    import polars as pl

    from agents.settings import Settings

# ruff: noqa: PLC0415 - a command imports what it needs, see cli

expectations = typer.Typer(
    name="expectations", help="What should happen: who waits for what, how long, and who owns it.", invoke_without_command=True
)


@expectations.callback()
def on(
    *,
    long: Annotated[bool, typer.Option("--long", help="What each means, what voids it, and where its numbers come from.")] = False,
    clickhouse: Dsn = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """List what should happen: after what, by when, owner, windows, and whether it is on.

    With a store (--clickhouse, that of the settings, or the folder ebbtide-data) also where those are on that are auto, site by site, and why.
    """
    from agents.auto_verdicts import verdicts
    from agents.expectations_command import listed, show, show_long, show_verdicts

    told = load(settings)
    known, seen = told.all_expectations(), _seen(told, clickhouse)
    found = None if seen is None else verdicts(known, seen, told.fulfilment_rules().seen_within)
    if as_json:
        terminal.say_json(listed(known, told.session_rules(), found))
        return
    (show_long if long else show)(known, told.session_rules())
    if seen is not None and found is not None:
        show_verdicts(found, seen)


def _seen(told: "Settings", option: str | None) -> "pl.DataFrame | None":
    """Which types the store has seen, if there is one and it can say. Raises: agents.mishaps.MISHAPS of a store that was named."""
    from agents.mishaps import MISHAPS, advice
    from sinks.reader import Reader
    from sinks.types_seen import types_seen

    dsn = _store(told, option)
    if dsn is None:
        terminal.warning("no store to look into: --clickhouse DSN tells where those are on that are auto, site by site")
        return None
    try:
        with Reader(dsn, told.clickhouse.database) as reader:
            seen = types_seen(reader)
    except MISHAPS as mishap:
        if option is not None:
            raise
        terminal.warning(f"the store cannot be looked into, so nobody can tell where those are on that are auto: {advice(mishap)}")
        return None
    if seen.is_empty():
        terminal.warning("the store keeps no events ([store] events = true), so nobody can tell where those are on that are auto")
        return None
    return seen


def _store(told: "Settings", option: str | None) -> str | None:
    """The store that was named, by option or in the settings; else a folder here, if `up` or `replay` has left one."""
    from agents.up_folder import STORE
    from sinks.addresses import Embedded

    if option is not None:
        return option
    if "dsn" in told.clickhouse.model_fields_set:
        return told.clickhouse.dsn
    folders = (FOLDER, FOLDER / STORE)
    return next((f"chdb://{folder}" for folder in folders if Embedded(folder).is_there), None)
