"""What a dashboard is made of, in our words: panels with one query each, in rows from left to right."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.money import DIGITS

Kind = Literal["stat", "timeseries", "barchart", "table"]

OF_SITE = "site IN (${site:singlequote})"
"""The sites that were chosen above the dashboard."""


def money(minor: str) -> str:
    """SQL for minor units as people read them: the column `currency` says how many digits they have."""
    known = sorted(set(DIGITS.values()))
    names = (", ".join(f"'{name}'" for name, digits in DIGITS.items() if digits == each) for each in known)
    cases = ", ".join(f"currency IN ({those}), {each}" for those, each in zip(names, known, strict=True))
    return f"{minor} / exp10(multiIf({cases}, 2))"


@dataclass(frozen=True)
class Asked:
    """One expression of PromQL, and what its lines are called."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One picture."""

    title: str
    kind: Kind
    asks: str | tuple[Asked, ...]
    """SQL of ClickHouse; or PromQL, several expressions in one picture."""
    mind: str
    """What it shows and what to look out for: behind the i of the panel."""
    unit: str = "short"
    """Unit of Grafana for all numbers that have none in `units`."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Column -> unit of Grafana."""
    limits: tuple[tuple[float, str], ...] = ()
    """From this value on this colour; below the first it is green. Without any, no colour judges. Of series: lines at these values."""
    limits_of: tuple[str, ...] = ()
    """Columns of a table that the limits judge."""
    width: int = 12
    """Of 24."""
    height: int = 8
    is_stacked: bool = False
    is_each_row: bool = False
    """Of a stat: each row of the answer is a figure, and its text column the name."""
    to: str = ""
    """Dashboard behind it, by its uid."""


def tile(title: str, asks: str | tuple[Asked, ...], mind: str, *, width: int = 6, **said: Any) -> Panel:
    """One figure, as tall as its neighbours in the row."""
    return Panel(title, "stat", asks, mind, width=width, height=4, **said)


@dataclass(frozen=True)
class Board:
    """One dashboard."""

    uid: str
    """For ever: links lead to it."""
    title: str
    mind: str
    panels: tuple[Panel, ...]
    since: str = "now-7d"
    """The time that it shows at first."""

    @property
    def is_of_tables(self) -> bool:
        """Whether it asks ClickHouse; else it asks Prometheus."""
        return isinstance(self.panels[0].asks, str)
