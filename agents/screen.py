"""The terminal view: what is being lost, where, and what those who left had met.

Frames:  sinks.live.Live -> something rich can draw
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
from rich import box
from rich.align import Align
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline.journey_map import Journey, JourneyMap
from sinks.live import Live

BAR = 22
"""Width of the longest bar, in characters."""

WIDE = 110
"""Columns from which on two tables stand side by side."""
HEADLINE, FRAME, SIDE = 4, 3, 9
"""Lines of the headline, of a frame with the names of its columns, and of the tables in the middle."""
FEWEST_LEFT = 3
"""Rows of those who left last that are worth showing."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class Pulse:
    """How the worker is doing."""

    events_per_s: float
    n_events: int
    simulated_at: datetime | None
    """Event time reached; None before the first event."""
    speed: float
    backlog: int
    """Rows on their way into ClickHouse."""
    note: str = ""
    """What is being waited for, '' when all is well."""


def drawn(live: Live | None, pulse: Pulse, journeys: JourneyMap, size: tuple[int, int] | None = None) -> RenderableType:
    """The whole view; `size`: columns and lines of the terminal, which gets what matters most if it is small. None: all of it."""
    parts: list[RenderableType] = [_headline(live, pulse)]
    if live is None or not live.statuses:
        parts.append(
            Panel(Align.center(Text(pulse.note or "waiting for the first visitors", style="dim")), box=box.ROUNDED, height=5)
        )
        return Group(*parts)
    known = [journey for journey in journeys.journeys if journey.name in set(live.funnel["journey"])]
    parts += [_funnel(live.funnel, journey) for journey in known]
    columns, lines = size or (WIDE, 1_000)
    left_over = lines - HEADLINE - sum(len(journey.steps) + FRAME for journey in known)
    sides = [_abandonment(live.funnel, journeys), _signals(live.signals)]
    side_lines = SIDE if columns >= WIDE else 2 * SIDE
    left_lines = max(FEWEST_LEFT + FRAME, left_over - side_lines)
    left = _left(live.left.head(min(left_lines, left_over) - FRAME))
    if left_over >= side_lines + FEWEST_LEFT + FRAME:
        parts.append(Columns(sides, expand=True, equal=False, padding=(0, 1)))
    if left_over > FRAME:
        parts.append(left)
    return Group(*parts)


def _headline(live: Live | None, pulse: Pulse) -> Panel:
    statuses = {} if live is None else live.statuses
    ended = sum(n for status, n in statuses.items() if status != "open")
    at = "-" if pulse.simulated_at is None else f"{pulse.simulated_at.astimezone(UTC):%Y-%m-%d %H:%M}"
    cells = (
        ("events/s", f"{pulse.events_per_s:,.0f}", "bold"),
        ("events", f"{pulse.n_events:,}", ""),
        ("sessions", f"{ended + statuses.get('open', 0):,}", ""),
        ("open", f"{statuses.get('open', 0):,}", "cyan"),
        ("abandoned", f"{statuses.get('abandoned', 0):,}", "bold red"),
        ("converted", f"{statuses.get('converted', 0):,}", "green"),
        ("shop time", f"{at} (x{pulse.speed:g})", ""),
        ("to write", f"{pulse.backlog:,}", "dim"),
    )
    table = Table.grid(expand=True, padding=(0, 1))
    for _ in cells:
        table.add_column(justify="center")
    table.add_row(*(Text(value, style=style) for _, value, style in cells))
    table.add_row(*(Text(name, style="dim") for name, _, _ in cells))
    return Panel(table, title="[bold]ebbtide[/bold]  who is slipping away", subtitle=pulse.note or "Ctrl-C stops", box=box.ROUNDED)


def _funnel(funnel: pl.DataFrame, journey: Journey) -> Panel:
    counts = _by_step(funnel.filter(pl.col("journey") == journey.name), "reached")
    table = Table(box=None, expand=True, pad_edge=False)
    table.add_column("step")
    table.add_column("owner", style="dim")
    table.add_column("sessions", justify="right")
    table.add_column("", ratio=1)
    table.add_column("of first", justify="right")
    table.add_column("of commit", justify="right")
    most = max(counts.values(), default=0)
    first = counts.get(journey.steps[0].name, 0)
    commit = counts.get(journey.commit_step, 0)
    for place, step in enumerate(journey.steps):
        n = counts.get(step.name, 0)
        style = "green" if step.name == journey.goal else "yellow" if place >= journey.commit_index else "cyan"
        of_commit = _share(n, commit) if place >= journey.commit_index else ""
        table.add_row(step.name, step.owner, f"{n:,}", Text(_bar(n, most, BAR), style=style), _share(n, first), of_commit)
    return Panel(table, title=f"journey [bold]{journey.name}[/bold]: sessions that reached each step", box=box.ROUNDED)


def _abandonment(funnel: pl.DataFrame, journeys: JourneyMap) -> Panel:
    table = Table(box=None, pad_edge=False)
    for name, justify in (("step", "left"), ("left here", "right"), ("", "left"), ("owner", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # rich wants the literals
    rows = [
        (
            journey.name,
            step.name,
            step.owner,
            _by_step(funnel.filter(pl.col("journey") == journey.name), "abandoned").get(step.name, 0),
        )
        for journey in journeys.journeys
        for step in journey.steps[journey.commit_index : journey.goal_index]
    ]
    most = max((n for *_, n in rows), default=0)
    several = len(journeys.journeys) > 1
    for journey_name, step_name, owner, n in rows:
        label = f"{journey_name}/{step_name}" if several else step_name
        table.add_row(label, f"{n:,}", Text(_bar(n, most, 14), style="red"), Text(owner, style="dim"))
    return Panel(table, title="abandoned, by the step they had reached", box=box.ROUNDED)


def _signals(signals: pl.DataFrame) -> Panel:
    table = Table(box=None, pad_edge=False)
    for name, justify in (("friction", "left"), ("fired", "right"), ("", "left"), ("left", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # rich wants the literals
    most = max(signals["n"].to_list(), default=0)
    for signal, n, share in signals.head(6).select("signal", "n", "in_abandoned").iter_rows():
        table.add_row(str(signal).replace("_", " "), f"{n:,}", Text(_bar(n, most, 14), style="magenta"), f"{share:.0%}")
    return Panel(table, title="friction met; share of these sessions that was abandoned", box=box.ROUNDED)


def _left(left: pl.DataFrame) -> Panel:
    table = Table(box=None, expand=True, pad_edge=False)
    for name, justify in (
        ("silent since", "left"),
        ("site", "left"),
        ("visitor", "left"),
        ("left at", "left"),
        ("owner", "left"),
        ("cart", "right"),
        ("had met", "left"),
    ):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # rich wants the literals
    for row in left.iter_rows(named=True):
        money = "-" if row["value_minor"] is None else f"{row['value_minor'] / 100:,.2f} {row['currency']}"
        met = Text(row["met"].replace("_", " "), style="magenta") if row["met"] else Text("nothing we saw", style="dim")
        at = row["left_at"].astimezone(UTC)
        table.add_row(
            f"{at:%H:%M:%S}", row["site"], row["visitor_id"][:8], Text(row["step"], style="red"), row["owner"], money, met
        )
    return Panel(table, title="the last that left without a word", box=box.ROUNDED)


def _by_step(funnel: pl.DataFrame, column: str) -> dict[str, int]:
    return dict(zip(funnel["step"].to_list(), funnel[column].to_list(), strict=True))


def _bar(n: int, most: int, width: int) -> str:
    eighths = 0 if most == 0 else round(n / most * width * 8)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def _share(n: int, of: int) -> str:
    return f"{n / of:.0%}" if of else "-"
