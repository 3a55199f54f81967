"""`ebbtide alerts`: what is wrong now, what was, and whether those who are to be told can be."""

from typing import Annotated

import typer

from agents import terminal
from agents.cli_options import Dsn, Json, SettingsFile, reader_of
from agents.settings_sources import load

# ruff: noqa: PLC0415 - a command imports what it needs, see cli

alerts = typer.Typer(name="alerts", help="Alerts: what is wrong now, what was, and who is told.", no_args_is_help=True)

Site = Annotated[str | None, typer.Option("--site", metavar="NAME", help="Of this site alone.")]


@alerts.command("list")
def list_(
    *,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    site: Site = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="So many at most.")] = 50,
    clickhouse: Dsn = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """List alerts: those that are open, and then those that opened last."""
    from agents import alerts_command

    with reader_of(load(settings), clickhouse) as reader:
        found = alerts_command.listed(reader, site=site, only_open=only_open, limit=limit)
    if as_json:
        terminal.say_json({"alerts": found.to_dicts()})
    else:
        alerts_command.show_list(found, limit)


@alerts.command()
def show(
    *,
    alert_id: Annotated[str, typer.Argument(metavar="ID", help="As `ebbtide alerts list` shows it, or its beginning.")],
    site: Site = None,
    clickhouse: Dsn = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Show all that is known of one alert, and how to look at some of whom it happened to."""
    from agents import alerts_command

    with reader_of(load(settings), clickhouse) as reader:
        found = alerts_command.one(reader, alert_id, site)
    if as_json:
        terminal.say_json(found)
    else:
        alerts_command.show(found)


@alerts.command("test")
def try_(
    *,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name in `[[alerts.channels]]`.")],
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Send an alert that says it is a test through a channel, once, and say what the receiver answered. Exit code 1 if it was not taken.

    It goes from this machine, and takes no heed of routes and mutes.
    """
    from agents import alerts_command

    made, answer = alerts_command.tested(load(settings).alerts.channels, channel)
    if as_json:
        terminal.say_json(alerts_command.told_of(made, answer))
    elif answer.is_well:
        terminal.told().print(f"channel {made.name} took it: {answer}", markup=False)
    if not answer.is_well:
        if not as_json:
            terminal.error(f"channel {made.name} did not take it: {answer}")
        raise typer.Exit(1)
