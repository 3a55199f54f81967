"""What people read, on standard error, and what programs read, on standard output: one line of JSON and nothing else."""

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import polars as pl
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

NULL = "[dim]null[/dim]"


def told() -> Console:
    """Where results for people go."""
    return Console(highlight=False, soft_wrap=True)


def aside() -> Console:
    """Where progress, warnings and errors go."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def error(message: str) -> None:
    """Say what is wrong."""
    aside().print(f"[bold red]error:[/bold red] {escape(message)}")


def warning(message: str) -> None:
    """Say what somebody may want to know."""
    aside().print(f"[yellow]note:[/yellow] {escape(message)}")


def say_json(value: object) -> None:
    """One line on standard output, and nothing else there."""
    sys.stdout.write(json.dumps(finite(value), ensure_ascii=False, default=plain, allow_nan=False) + "\n")
    sys.stdout.flush()


def finite(value: Any) -> Any:
    """The same with null for what is no number: JSON knows neither that nor infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite(each) for name, each in value.items()}
    return [finite(each) for each in value] if isinstance(value, list | tuple) else value


def plain(value: Any) -> Any:
    """What JSON does not know: times in ISO 8601, bytes as text, else hex."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    return str(value)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None, numbers: Iterable[int] = ()) -> Table:
    """A table for people; columns at the places `numbers` are set to the right."""
    drawn = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    right = set(numbers)
    for place, name in enumerate(columns):
        drawn.add_column(escape(name), justify="right" if place in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(NULL if value is None else escape(shown(value)) for value in row))
    return drawn


def print_frame(frame: pl.DataFrame) -> None:
    """A frame for people: a table, or where that is too wide for the terminal, row by row."""
    console = told()
    numbers = [place for place, dtype in enumerate(frame.dtypes) if dtype.is_numeric()]
    drawn = table(frame.columns, frame.rows(), numbers=numbers)
    if width(console, drawn) <= console.width or not frame.height:
        console.print(drawn)
        return
    for number, row in enumerate(frame.rows(), start=1):
        console.print(table((f"row {number}", ""), zip(frame.columns, row, strict=True)))


def print_records(frame: pl.DataFrame, *, title: str) -> None:
    """A frame for people: a table, or where that is too wide for the terminal its rows side by side, as many of the first as fit."""
    console, rows = told(), frame.rows()
    drawn = table(frame.columns, rows, title=title)
    for n in range(frame.height, 0, -1):
        if width(console, drawn) <= console.width:
            break
        drawn = table(("", *map(str, range(1, n + 1))), zip(frame.columns, *rows[:n], strict=True), title=title)
    console.print(drawn)


def width(console: Console, drawn: Table) -> int:
    """How wide a table would be if nothing in it were folded."""
    return Measurement.get(console, console.options.update(max_width=100_000), drawn).maximum


def counts(title: str, numbers: Mapping[str, int]) -> Table:
    """Names and numbers for people."""
    return table((title, "n"), numbers.items(), numbers=(1,))


def shown(value: Any) -> str:
    """A value in a cell."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) else str(plain(value)) if not isinstance(value, float) else f"{value:g}"


class Way:
    """A bar on standard error that people watch."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        """Move this task of that bar."""
        self._bar, self._task = bar, task

    def at(self, what: str, done: float | None = None, of: float | None = None) -> None:
        """Say what goes on, and how far it is; of nobody knows how much: a bar that only moves."""
        self._bar.update(self._task, description=what, completed=done or 0, total=of)


@contextmanager
def progress(*, wanted: bool = True) -> Iterator[Way]:
    """Show a bar while the block runs, where standard error is a terminal."""
    console = aside()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not (wanted and console.is_terminal)) as bar:
        yield Way(bar, bar.add_task("", total=None))
