"""`ebbtide why`: what happened to one session, order or customer, what was expected of whom, and what came of it."""

from typing import Annotated

import typer

from agents import terminal
from agents.cli_options import Dsn, Json, SettingsFile, reader_of
from agents.settings_sources import load

# ruff: noqa: PLC0415 - a command imports what it needs, see cli


def why(
    *,
    session: Annotated[str | None, typer.Option("--session", metavar="ID", help="As in the table `sessions`.")] = None,
    order: Annotated[
        str | None, typer.Option("--order", metavar="ID", help="As in the table `cases`: an order, an RFQ, an approval, ...")
    ] = None,
    customer: Annotated[str | None, typer.Option("--customer", metavar="ID", help="As in the table `customers`.")] = None,
    visitor: Annotated[
        str | None, typer.Option("--visitor", metavar="ID", help="Where several visitors have a session of that id.")
    ] = None,
    site: Annotated[str | None, typer.Option("--site", metavar="NAME", help="Where several sites have one of that id.")] = None,
    whole: Annotated[bool, typer.Option("--all", help="Of an order or a customer every moment and event, however long.")] = False,
    clickhouse: Dsn = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Tell the story of one session, order or customer: what happened, the friction met, what was expected of whom, and what came of it."""
    from agents import why_command
    from pipeline.story import Story

    if sum(each is not None for each in (session, order, customer)) != 1:
        raise typer.BadParameter("name one: --session ID, --order ID or --customer ID")
    if visitor is not None and session is None:
        raise typer.BadParameter("--visitor goes with --session")
    told = load(settings)
    meanings = why_command.meanings(told.all_expectations())
    with reader_of(told, clickhouse) as reader:
        if session is not None:
            found = why_command.session(reader, session, visitor, site, meanings)
        elif order is not None:
            found = why_command.order(reader, order, site, meanings, is_whole=whole)
        else:
            found = why_command.customer(reader, customer or "", site, meanings, is_whole=whole)
    if isinstance(found, Story):
        if as_json:
            terminal.say_json(found.as_json())
        else:
            why_command.show(found)
        return
    if as_json:
        terminal.say_json({found.name: found.rows})
    else:
        why_command.show_choice(found)
    terminal.error(f"{len(found.rows)} {found.name} have this id: name one with {found.options}")
    raise typer.Exit(1)
