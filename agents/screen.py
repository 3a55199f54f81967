"""The terminal view: what is being lost, where, whose it is, and what those who left had met.

Frames:  sinks.live.Live -> something rich can draw
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, pairwise

import polars as pl
from rich import box
from rich.align import Align
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline.journey_map import Journey, JourneyMap
from pipeline.money import spelt
from sinks.live import Live

BAR = 22
"""Width of the longest bar, in characters."""

WIDE = 130
"""Columns from which on two tables stand side by side."""
HEADLINE, FRAME = 4, 3
"""Lines of the headline, and of a frame with the names of its columns."""
MOST_LAPSES, FEW_LAPSES, MOST_SIGNALS = 8, 3, 6
"""Rows of the tables in the middle: of lapses where there is room, and where there is little of it."""
FEWEST_LEFT = 3
"""Rows of those who left last that are worth showing beside all else."""

OUTCOMES = (("silent", "red"), ("contacted", "yellow"), ("recovered", "green"), ("provisional", "bright_black"))
"""What becomes of a lapse, in its colour."""
DECIDED = 3
"""So many of them are decided, and have a piece of the bar; the last has one while nothing is."""

STACK, SHORT_STACK, ROOMY = 12, 6, 90
"""Width of the longest bar of outcomes, and where the terminal has fewer columns than the third says."""
_DECIDED = [name for name, _ in OUTCOMES[:DECIDED]]
_SPELT = {"provisional": "undecided"}

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
    if live.alerts.height and left_over >= live.alerts.height + FRAME + FEWEST_LEFT + FRAME:
        parts.append(_alerts(live.alerts))
        left_over -= live.alerts.height + FRAME
    n_lapses, n_signals, n_left = _rows(left_over, live, is_wide=columns >= WIDE)
    stack = STACK if columns >= ROOMY else SHORT_STACK
    sides = [side for side in (_lapses(live.lapses.head(n_lapses), stack), _signals(live.signals.head(n_signals))) if side]
    parts += [Columns(sides, expand=True, padding=(0, 1))] if len(sides) > 1 and columns >= WIDE else sides
    if n_left:
        parts.append(_left(live.left.head(n_left)))
    return Group(*parts)


def _rows(left_over: int, live: Live, *, is_wide: bool) -> tuple[int, int, int]:
    """How many rows of lapses, of signals and of those who left have room in so many lines: what matters most first."""
    lapses, signals = min(live.lapses.height, MOST_LAPSES), min(live.signals.height, MOST_SIGNALS)
    left, few = min(live.left.height, FEWEST_LEFT), min(lapses, FEW_LAPSES)
    for wanted in (
        (lapses, signals, left),
        (few, signals, left),
        (lapses, 0, left),
        (few, 0, left),
        (few, 0, min(left, 1)),
        (0, 0, left),
    ):
        of_lapses, of_signals, of_left = (n + FRAME if n else 0 for n in wanted)
        spare = left_over - of_left - (max(of_lapses, of_signals) if is_wide else of_lapses + of_signals)
        if spare >= 0:
            return wanted[0], wanted[1], min(live.left.height, wanted[2] + spare)
    return 0, 0, 0


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
        (f"shop time x{pulse.speed:g}", at, ""),
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


def _table(*columns: str, last: str = "") -> Table:
    """A table with these columns (`>`: of numbers), and a last one that has what there is room for."""
    table = Table(box=None, expand=bool(last), pad_edge=False)
    for name in columns:
        table.add_column(name.lstrip(">"), justify="right" if name.startswith(">") else "left", no_wrap=True)
    if last:
        table.add_column(last, ratio=1, no_wrap=True)
    return table


def _alerts(alerts: pl.DataFrame) -> Panel:
    table = _table("since", "", "site", "what rose", ">share", ">usual", "owner", last="had met")
    for row in alerts.iter_rows(named=True):
        is_open = row["status"] == "open"
        style = ("bold red" if row["severity"] == "critical" else "yellow") if is_open else "dim"
        table.add_row(
            f"{row['opened_at'].astimezone(UTC):%d. %H:%M}",
            Text(row["severity"] if is_open else row["status"], style=style),
            row["site"],
            Text(f"{row['rule']}: {row['segment'] or row['journey']}", style=style),
            f"{row['rate']:.1%}",
            f"{row['baseline_rate']:.1%}",
            Text(row["owner"], style="bold"),
            Text(row["cause"].replace("_", " "), style="magenta"),
        )
    return Panel(table, title="alerts: what rises above the usual", box=box.ROUNDED)


def _lapses(lapses: pl.DataFrame, width: int) -> Panel | None:
    if lapses.is_empty():
        return None
    table = Table(box=None, pad_edge=False)
    table.add_column("step", no_wrap=True)
    table.add_column("owner", no_wrap=True)
    table.add_column("")
    for name, style in OUTCOMES:
        table.add_column(_SPELT.get(name, name), justify="right", style=style)
    n_pieces = DECIDED if lapses.select(pl.sum_horizontal(_DECIDED).sum()).item() else len(OUTCOMES)
    most = lapses.select(pl.sum_horizontal(name for name, _ in OUTCOMES[:n_pieces]).max()).item()
    several = lapses["journey"].n_unique() > 1
    for row in lapses.iter_rows(named=True):
        label = f"{row['journey']}/{row['step']}" if several else row["step"]
        counts = [row[name] for name, _ in OUTCOMES]
        bar = _stacked(counts[:n_pieces], most, width)
        table.add_row(label, Text(row["owner"], style="bold"), bar, *(f"{n:,}" if n else "-" for n in counts))
    return Panel(table, title="expected, and did not come: what became of it", box=box.ROUNDED)


def _stacked(counts: Sequence[int], most: int, width: int) -> Text:
    """One bar, a piece for each outcome."""
    edges = [0, *(round(total / max(most, 1) * width) for total in accumulate(counts))]
    pieces = zip(OUTCOMES, pairwise(edges), strict=False)
    return Text.assemble(*(("█" * (end - begin), style) for (_, style), (begin, end) in pieces))


def _signals(signals: pl.DataFrame) -> Panel | None:
    if signals.is_empty():
        return None
    table = _table("friction", ">fired", "", ">left")
    most = max(signals["n"].to_list(), default=0)
    for signal, n, share in signals.select("signal", "n", "in_abandoned").iter_rows():
        left = "" if share is None else f"{share:.0%}"
        table.add_row(str(signal).replace("_", " "), f"{n:,}", Text(_bar(n, most, 8), style="magenta"), left)
    return Panel(table, title="friction; share of visits that left", box=box.ROUNDED)


def _left(left: pl.DataFrame) -> Panel:
    table = _table("silent since", "site", "visitor", "left at", "owner", ">cart", last="had met")
    for row in left.iter_rows(named=True):
        money = spelt(row["value_minor"], row["currency"]) or "-"
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
