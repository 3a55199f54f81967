"""`ebbtide signals`: which friction is looked for, by which rules, and what others would find."""

from pathlib import Path
from typing import Annotated

import typer

from agents import terminal
from agents.cli_options import Inputs, Json, SettingsFile
from agents.settings_sources import load

# ruff: noqa: PLC0415 - a command imports what it needs, see cli

signals = typer.Typer(
    name="signals", help="The friction that is looked for: signals, rules, profiles of products.", invoke_without_command=True
)


@signals.callback()
def on(context: typer.Context, *, as_json: Json = False, settings: SettingsFile = None) -> None:
    """List what is on: name, meaning, rule, profile, weight and source."""
    if context.invoked_subcommand is not None:
        return
    from agents.signals_command import listed, show_list

    looked_for = load(settings).session_rules().signals
    if as_json:
        terminal.say_json(listed(looked_for))
    else:
        show_list(looked_for)


@signals.command("try")
def try_(
    *,
    paths: Inputs = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            "--profile",
            metavar="NAME,...",
            help="Products, `default` for our rules, `settings` for what the settings say.",
            show_default="settings",
        ),
    ] = None,
    mappings: Annotated[
        Path | None, typer.Option("--map", metavar="DIR", help="Folder of SQL mappings; their paths begin in the data folder.")
    ] = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Show side by side what each profile would fire on your own events; nothing is written.

    A signal for which a product published no rule keeps ours, and is marked. Your own signals are the same in all.
    """
    from agents.replay_command import Inputs
    from agents.signals_command import show_trial, tried

    if not paths and mappings is None:
        raise typer.BadParameter("name the files or folders of events, or --map")
    names = [name.strip() for name in ",".join(profile or ["settings"]).split(",") if name.strip()]
    if not names:
        raise typer.BadParameter("--profile names at least one profile")
    with terminal.progress() as way:
        found = tried(Inputs(tuple(paths or ()), mappings), load(settings), names, way)
    if as_json:
        terminal.say_json(found.as_json())
    else:
        show_trial(found)
