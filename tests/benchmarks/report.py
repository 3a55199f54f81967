"""How results are shown: a small table, and how busy the machine was."""

import os
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

MIB = 1 << 20


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *notes: str) -> None:
    """Print a table: words to the left, numbers to the right."""
    table = Table(title=title, title_justify="left")
    lines = [[cell(value) for value in row] for row in rows]
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place else "left")
    for line in lines:
        table.add_row(*line)
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    console = Console(width=140, highlight=False)
    console.print()
    for shown in (table, *notes, f"load average {load} on {os.cpu_count()} cores"):
        console.print(shown)


def cell(value: object) -> str:
    """A number as people read it: in thousands, or with three digits that count."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
