"""`ebbtide score`: how unusual each row of a series is."""

from pathlib import Path
from typing import Annotated

import typer

from agents import terminal
from agents.cli_options import Json

# ruff: noqa: PLC0415 - a command imports what it needs, see cli


def score(
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV with a header, NDJSON or Parquet: a column of times, and values.")
    ],
    value: Annotated[
        str | None, typer.Option("--value", metavar="COL", help="Column of the values; else the only one with numbers.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score each row of a series, a count or a gauge, from 0 (usual) to 1, by nothing but the rows before it.

    Half is what normal noise reaches once in 1,000 rows. Times go on from row to row, in ISO 8601 (UTC) or as seconds or milliseconds since 1970.
    """
    from agents.score_command import as_json as told
    from agents.score_command import scored, show
    from agents.series_files import series_of

    series = series_of(file, value)
    found = scored(series)
    if as_json:
        terminal.say_json(told(series, found))
    else:
        show(series, found)
