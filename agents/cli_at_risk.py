"""`ebbtide at-risk`: who may be slipping away right now."""

from typing import Annotated

import typer

from agents import terminal
from agents.cli_options import Json, SettingsFile
from agents.settings_sources import load

# ruff: noqa: PLC0415 - a command imports what it needs, see cli


def at_risk(
    *,
    site: Annotated[str | None, typer.Option("--site", metavar="NAME", help="Of this site alone.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="So many at most.")] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", help="Then tell every change, a line each, until Ctrl-C; with --json a line of JSON.")
    ] = False,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Show who may be slipping away right now, the likeliest first: open visits and open cases, as the broker has them."""
    from agents import at_risk_command

    try:
        with at_risk_command.listening(load(settings), site) as heard:
            found = heard.known.now
            if as_json:
                terminal.say_json({"n": len(found), "at_risk": found[:limit]})
            else:
                at_risk_command.show(found, limit)
            for row in heard.changes() if follow else ():
                if as_json:
                    terminal.say_json(row)
                else:
                    terminal.told().print(at_risk_command.line(row), markup=False)
    except at_risk_command.NotPublished as missing:
        terminal.error(str(missing))
        raise typer.Exit(1) from missing
