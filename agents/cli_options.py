"""Options that several commands have, and how what is typed is understood."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.settings import Settings
from sinks.addresses import address

if TYPE_CHECKING:
    from sinks.reader import Reader

FOLDER = Path("ebbtide-data")
"""The store of commands that look into one where none is named: the engine in this process, below the folder one stands in."""

SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", metavar="FILE", help="TOML file; else EBBTIDE_SETTINGS, else the defaults.", dir_okay=False),
]


def _known(dsn: str | None) -> str | None:
    """A DSN that says something. Raises: typer.BadParameter."""
    try:
        if dsn is not None:
            address(dsn)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return dsn


Dsn = Annotated[
    str | None,
    typer.Option(
        "--clickhouse",
        metavar="DSN",
        callback=_known,
        help="clickhouse://user:password@host:port, or chdb://FOLDER: no server at all.",
    ),
]
Inputs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="DIR|FILE...",
        help="Files of events, or folders of them; with --map the data folder, or the files the mappings read.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="The checkpoints are in the folder that `ebbtide up` was given, not on topics.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One line of JSON on standard output.")]


def seconds(span: str) -> float:
    """A span of time in seconds. Raises: typer.BadParameter."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h|d)?", span.strip())
    if match is None or float(match[1]) == 0:
        message = f"{span!r} is no span of time; 90s, 5m, 1h and 7d are"
        raise typer.BadParameter(message)
    return float(match[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[match[2] or "s"]


def time_of(text: str) -> datetime:
    """A time in ISO 8601, UTC if it names no zone. Raises: typer.BadParameter."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no time like 2026-11-24T10:00:00Z"
        raise typer.BadParameter(message) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def by_partition(said: Sequence[str]) -> dict[int, str]:
    """PARTITION:VALUE, once for each partition. Raises: typer.BadParameter."""
    found = {}
    for text in said:
        partition, _, value = text.partition(":")
        if not (value and partition.isdecimal()) or int(partition) in found:
            message = f"{text!r} is no PARTITION:VALUE, or its partition is named twice"
            raise typer.BadParameter(message)
        found[int(partition)] = value
    return found


def offsets(said: Sequence[str]) -> dict[int, int]:
    """PARTITION:OFFSET, once for each partition. Raises: typer.BadParameter."""
    found = by_partition(said)
    for text in found.values():
        if not text.isdecimal():
            message = f"{text!r} is no offset"
            raise typer.BadParameter(message)
    return {partition: int(text) for partition, text in found.items()}


def store_of(told: Settings, option: str | None) -> str:
    """The store that was named, by option or in the settings; else a folder here, so that nothing need be running."""
    if option is not None:
        return option
    return told.clickhouse.dsn if "dsn" in told.clickhouse.model_fields_set else f"chdb://{FOLDER}"


def reader_of(told: Settings, option: str | None) -> "Reader":
    """It, to be read."""
    from sinks.reader import Reader  # noqa: PLC0415 - a command imports what it needs, see cli

    return Reader(store_of(told, option), told.clickhouse.database)
