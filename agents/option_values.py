"""Values of options, read from what people type. All raise typer.BadParameter."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import typer


def seconds(span: str | None) -> float | None:
    """A span of time in seconds. Raises: typer.BadParameter."""
    if span is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", span.strip())
    if match is None or float(match[1]) == 0:
        message = f"{span!r} is no span of time; 90s, 5m and 1h are"
        raise typer.BadParameter(message)
    return float(match[1]) * {"s": 1, "m": 60, "h": 3_600}[match[2] or "s"]


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
