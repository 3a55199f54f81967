"""`ebbtide questions`: ten questions that one query each answers, run on the store or printed for a BI tool."""

from typing import Annotated

import typer

from agents import terminal
from agents.cli_options import Dsn, Json, SettingsFile, reader_of
from agents.settings_sources import load

# ruff: noqa: PLC0415 - a command imports what it needs, see cli


def questions(
    *,
    number: Annotated[int | None, typer.Argument(metavar="NUMBER", help="The one to answer; without it all are listed.")] = None,
    only_sql: Annotated[
        bool, typer.Option("--sql", help="Print the statement, to be pasted into a BI tool, and do not run it.")
    ] = False,
    clickhouse: Dsn = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Ask the store one of ten questions that people ask, or list them.

    What each answer means, column by column, and what to look out for stands in sinks/queries/README.md.
    """
    from sinks.questions import questions as known

    if number is None:
        if only_sql:
            raise typer.BadParameter("--sql needs the NUMBER of a question")
        if as_json:
            terminal.say_json([{"number": each.number, "name": each.name, "question": each.text} for each in known()])
        else:
            terminal.told().print(terminal.table(("", "question"), ((each.number, each.text) for each in known()), numbers=(0,)))
        return
    asked = next((each for each in known() if each.number == number), None)
    if asked is None:
        message = f"there are questions 1 to {len(known())}"
        raise typer.BadParameter(message)
    if only_sql:
        terminal.say_json(asked.sql) if as_json else typer.echo(asked.sql)
        return
    with reader_of(load(settings), clickhouse) as reader:
        found = reader.query(asked.sql)
    if as_json:
        terminal.say_json(found.to_dicts())
        return
    terminal.told().print(f"\n[bold]{asked.text}[/bold]\n")
    numbers = [place for place, dtype in enumerate(found.dtypes) if dtype.is_numeric()]
    terminal.told().print(terminal.table(found.columns, found.rows(), numbers=numbers))
    terminal.told().print(terminal.table(("column", "meaning"), asked.columns.items()))
    for line in asked.mind:
        terminal.warning(line)
