"""`ebbtide report`: service and experience side by side: who is good at which, the ten signs that they have come apart, and what hurts most."""

from pathlib import Path
from typing import Annotated

import typer

from agents import terminal
from agents.cli_options import Dsn, Json, SettingsFile, store_of, time_of
from agents.settings_sources import load

# ruff: noqa: PLC0415 - a command imports what it needs, see cli


def report(
    *,
    site: Annotated[str | None, typer.Option("--site", metavar="NAME", help="Of one site; else of each.")] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Inclusive; else 28 days before the end, or the first that was seen."),
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Exclusive; else the last that was seen.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", dir_okay=False, help="Write a page with plots, all in one file.")
    ] = None,
    sign: Annotated[
        str | None, typer.Option("--sign", metavar="NUMBER|NAME", help="Nothing but the rows behind one of the ten signs.")
    ] = None,
    clickhouse: Dsn = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Say how service and experience stand, side by side: per journey and owner the verdict, the ten signs that they have come apart, and what hurts most.

    What is measured, from where it is good, and what each sign counts stands in sinks/signs/README.md; borders are settings of the section report.
    """
    from agents import report_command
    from sinks.reader import Reader
    from sinks.report_rows import sign_rows

    if sign is not None and html is not None:
        raise typer.BadParameter("--sign lists rows, and makes no page")
    since, until = (None if said is None else time_of(said) for said in (from_, to))
    chosen_sign = None if sign is None else report_command.sign_of(sign)
    told = load(settings)
    with Reader(store_of(told, clickhouse), told.clickhouse.database) as reader:
        chosen = report_command.span(reader, site, since, until)
        if chosen_sign is not None:
            rows = sign_rows(reader, chosen, chosen_sign.name, report_command.ROWS)
            if as_json:
                terminal.say_json({chosen_sign.name: rows.to_dicts()})
            else:
                report_command.show_rows(chosen_sign, rows)
            return
        rules, signs = told.report.verdicts(), told.report.signs_applied()
        found = report_command.made(reader, chosen, rules, signs, is_whole=as_json or html is not None)
    if as_json:
        terminal.say_json(report_command.as_json(found))
    elif html is None:
        report_command.show(found)
    if html is not None:
        report_command.write_page(found, html)
