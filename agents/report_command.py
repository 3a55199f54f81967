"""The command `ebbtide report`: service and experience side by side, for people and for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from rich.markup import escape
from rich.table import Table

from agents import terminal
from pipeline.report_words import figure, hurts, money, points, weakest
from pipeline.reports import Report, Standing, report
from pipeline.signs import BY_NAME, DOES_NOT, HOLDS, SIGNS, TOO_FEW, Sign
from pipeline.verdicts import BOTH_STRONG, BOTH_WEAK, EXPERIENCE, NOT_ENOUGH, SERVICE, STRONG_WEAK, WEAK_STRONG, Side, VerdictRules
from sinks import report_rows
from sinks.reader import Reader
from sinks.report_page import page
from sinks.report_rows import NothingToReport, Span

USUALLY = timedelta(days=28)
"""A report is of so long, up to the last that was seen, where nobody says more."""
WEEKS = timedelta(weeks=13)
"""Lines of weeks begin so long before the end, or with the report."""
EXAMPLES = 5
"""Rows that are shown of a sign."""
ROWS = 100
"""Rows of one sign that are listed."""
_ROOMY, _NARROW = 140, 100
"""Columns of a terminal from which figures stand beside the scores; and below which less is said of signs."""
_STYLES = {BOTH_STRONG: "green", STRONG_WEAK: "yellow", WEAK_STRONG: "yellow", BOTH_WEAK: "red", NOT_ENOUGH: "dim"}
_HOLDS = {HOLDS: ("yes", "bold red"), DOES_NOT: ("no", "green"), TOO_FEW: ("too few", "dim")}


@dataclass(frozen=True)
class Told:
    """A report, and what stands behind its signs."""

    report: Report
    examples: Mapping[str, Mapping[str, pl.DataFrame]]
    """Site -> sign that holds there -> some of its rows."""


def span(reader: Reader, site: str | None, since: datetime | None, until: datetime | None) -> Span:
    """Which sites and when. Raises: NothingToReport on a site that is not there, or a time in which there is nothing; as `report_rows.sites`."""
    known = report_rows.sites(reader)
    if site is not None and site not in known["site"].to_list():
        message = f"there is no site {site!r}; there are {', '.join(known['site'])}"
        raise NothingToReport(message)
    chosen = known if site is None else known.filter(pl.col("site") == site)
    first, last = chosen["first_at"].min(), chosen["last_at"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    end = last + timedelta(milliseconds=1) if until is None else until
    begin = max(first, end - USUALLY) if since is None else since
    if begin >= end or begin > last or end <= first:
        message = f"nothing was seen from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}; there is something from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
        raise NothingToReport(message)
    return Span(tuple(chosen["site"]), begin, end)


def made(reader: Reader, chosen: Span, rules: VerdictRules, signs: tuple[Sign, ...] = SIGNS, *, is_whole: bool = False) -> Told:
    """The report; `is_whole`: with weeks and examples. Raises: as `Reader.query`."""
    since = min(chosen.since, chosen.until - WEEKS)
    found = report(
        chosen.since,
        chosen.until,
        report_rows.figures(reader, chosen),
        report_rows.readings(reader, chosen),
        report_rows.silences(reader, chosen),
        rules=rules,
        signs=signs,
        weeks=report_rows.figures(reader, Span(chosen.sites, since, chosen.until), by_week=True) if is_whole else None,
    )
    examples: dict[str, dict[str, pl.DataFrame]] = {}
    for site in found.sites if is_whole else []:
        whole = found.of(site)[0]
        of_site = Span((site,), chosen.since, chosen.until)
        examples[site] = {
            each.sign.name: report_rows.sign_rows(reader, of_site, each.sign.name, EXAMPLES) for each in whole.holding
        }
    return Told(found, examples)


def sign_of(name: str) -> Sign:
    """A sign by its name or number. Raises: NothingToReport if there is none."""
    for sign in SIGNS:
        if name in {sign.name, str(sign.number)}:
            return sign
    message = f"there is no sign {name!r}; there are {', '.join(f'{sign.number} {each}' for each, sign in BY_NAME.items())}"
    raise NothingToReport(message)


def as_json(told: Told) -> dict[str, Any]:
    """All of it."""
    found = told.report
    return {
        "since": found.since,
        "until": found.until,
        "strong_from": found.rules.strong_from,
        "min_measures": found.rules.min_measures,
        "places": [_place(each) for each in found.standings],
        "hurts": {site: [{"title": each.title, "text": each.text} for each in hurts(found, site)] for site in found.sites},
        "examples": {site: {name: rows.to_dicts() for name, rows in of_site.items()} for site, of_site in told.examples.items()},
    }


def _place(standing: Standing) -> dict[str, Any]:
    return {
        "site": standing.place.site,
        "journey": standing.place.journey,
        "owner": standing.place.owner,
        "verdict": standing.verdict,
        "service": standing.service,
        "experience": standing.experience,
        "measures": {
            name: {"value": each.value, "n": each.n, "points": each.points, "min_n": each.measure.min_n}
            for name, each in standing.figures.items()
        },
        "signs": {
            each.sign.name: {
                "share": each.share,
                "n": each.n,
                "n_hits": each.n_hits,
                "standing": each.standing,
                "threshold": each.sign.threshold,
                "min_n": each.sign.min_n,
            }
            for each in standing.readings
        },
        "n_silent": standing.n_silent,
        "lost_minor": dict(standing.lost_minor),
    }


def write_page(told: Told, file: Path) -> None:
    """The page; a file of that name is replaced when all of it is there. Raises: OSError where it cannot be."""
    examples = {site: {name: rows.to_dicts() for name, rows in of_site.items()} for site, of_site in told.examples.items()}
    part = file.with_name(f".{file.name}.part")
    part.write_text(page(told.report, examples, datetime.now(UTC)), encoding="utf-8")
    part.replace(file)
    terminal.aside().print(f"{file}: {len(told.report.sites)} site{'s' if len(told.report.sites) > 1 else ''}", markup=False)


def show(told: Told) -> None:
    """Tell people."""
    for site in told.report.sites:
        _show_site(told.report, site)
    terminal.told().print(
        f"[dim]points: 0 poor .. 100 good, strong from {told.report.rules.strong_from:g}; behind a figure stands of how many it is. "
        "The rows behind a sign: ebbtide report --sign NUMBER[/dim]"
    )


def _show_site(found: Report, site: str) -> None:
    console, every = terminal.told(), found.of(site)
    whole = every[0]
    style = _STYLES[whole.verdict]
    console.print(
        f"[bold]{escape(site)}[/bold], {found.since:%Y-%m-%d} to {found.until:%Y-%m-%d}: [{style}]{whole.verdict}[/{style}]"
    )
    for side in (SERVICE, EXPERIENCE):
        said = ", ".join(figure(each) for each in whole.figures.values() if each.measure.side == side and each.value is not None)
        console.print(f"  {side} {points(whole.score(side))}: {said or 'nothing was measured'}", markup=False)
    if whole.n_silent:
        lost = money(whole.lost_minor)
        console.print(f"  {whole.n_silent:,} left in silence{f', {lost} at stake' if lost else ''}", markup=False)
    console.print()
    if hurting := hurts(found, site):
        console.print("[bold]what hurts most[/bold]")
        for number, each in enumerate(hurting, start=1):
            console.print(f"  {number}. [bold]{escape(each.title)}[/bold]: {escape(each.text)}")
        console.print()
    if (places := _places(every[1:], is_narrow=console.width < _ROOMY)).row_count:
        console.print(places)
    console.print(_signs(found, whole, is_narrow=console.width < _NARROW))


def _places(standings: Sequence[Standing], *, is_narrow: bool) -> Table:
    shown = [each for each in standings if each.service is not None or each.experience is not None or each.n_silent]
    left_out = len(standings) - len(shown)
    title = f"by journey and owner{f'; {left_out} of whom too little is known are left out' if left_out else ''}"
    columns = ("journey", "owner", "service", "experience", "verdict", "in silence", *(() if is_narrow else ("at stake",)))
    drawn = terminal.table(columns, (), title=title, numbers=(5,))
    for each in shown:
        style = _STYLES[each.verdict]
        cells = [
            each.place.journey,
            each.place.owner or "all",
            _side(each, SERVICE, is_narrow=is_narrow),
            _side(each, EXPERIENCE, is_narrow=is_narrow),
        ]
        rest = [f"{each.n_silent:,}", *(() if is_narrow else (money(each.lost_minor),))]
        drawn.add_row(*map(escape, cells), f"[{style}]{each.verdict}[/{style}]", *map(escape, rest))
    return drawn


def _side(standing: Standing, side: Side, *, is_narrow: bool) -> str:
    score, costs = standing.score(side), weakest(standing, side)
    return points(score) if is_narrow or not costs else f"{points(score)}  {costs}"


def _signs(found: Report, whole: Standing, *, is_narrow: bool) -> Table:
    columns = ("", "sign", "share", "from", "of", "holds", *(() if is_narrow else ("most at",)))
    drawn = terminal.table(columns, (), title="ten signs", numbers=(0, 2, 3, 4))
    for reading in whole.readings:
        most = found.where_most(whole.place.site, reading.sign)
        share = "-" if reading.share is None else f"{100 * reading.share:.1f} %"
        cells = (str(reading.sign.number), reading.sign.title, share, f"{100 * reading.sign.threshold:.0f} %", f"{reading.n:,}")
        word, style = _HOLDS[reading.standing]
        drawn.add_row(*cells, f"[{style}]{word}[/{style}]", *(() if is_narrow else (escape(most.place.name) if most else "",)))
    return drawn


def show_rows(sign: Sign, rows: pl.DataFrame) -> None:
    """The rows for which a sign is true."""
    if rows.is_empty():
        terminal.warning(f"{sign.title}: there are none")
        return
    shown = rows.select(
        "site",
        pl.format("{} / {}", "journey", "owner").alias("where"),
        pl.col("id").alias(sign.thing),
        pl.col("customer_id").alias("of customer"),
        pl.col("at").dt.strftime("%Y-%m-%d %H:%M").alias("UTC"),
        pl.col("detail").alias("why"),
    )
    if rows["site"].n_unique() == 1:
        shown = shown.drop("site")
    if sign.thing == "customer":
        shown = shown.drop("of customer")
    title = f"{sign.title}: {sign.looked_at} that {sign.those}; the newest {rows.height:,}"
    terminal.told().print(terminal.table(shown.columns, shown.rows(), title=title))
    if sign.thing == "order":
        terminal.told().print("[dim]more: ebbtide why --order ID[/dim]")
    elif (rows["customer_id"] != "").any():
        terminal.told().print("[dim]more: ebbtide why --customer ID[/dim]")
