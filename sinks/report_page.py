"""A report as one page: plots, figures and the rows behind the signs, with nothing loaded from anywhere. It can be mailed, printed, and read on a telephone.

Cases:   a name of a site, journey, owner or id -> text, whatever stands in it | a script or a picture from elsewhere -> the page's own policy refuses it
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any

from pipeline.report_words import hurts, money, points, standing_in_words, value, weakest
from pipeline.reports import Place, Report, Standing, Week
from pipeline.signs import DOES_NOT, HOLDS, TOO_FEW, Reading
from pipeline.verdicts import BOTH_STRONG, BOTH_WEAK, NOT_ENOUGH, SIDES, STRONG_WEAK, WEAK_STRONG, Figure, Side
from sinks.report_plots import Dot, Line, owner_map, plain, share_bar, small_line, weekly_lines

Examples = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
"""Site -> sign -> some of the rows for which it is true."""

_STYLES = {BOTH_STRONG: "good", STRONG_WEAK: "mixed", WEAK_STRONG: "mixed", BOTH_WEAK: "bad", NOT_ENOUGH: "none"}
_HOLDS = {HOLDS: ("holds", "bad"), DOES_NOT: ("does not hold", "good"), TOO_FEW: ("too few to say", "none")}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(report: Report, examples: Examples, made_at: datetime) -> str:
    """The text of the page."""
    sites = report.sites
    title = f"Service and experience: {', '.join(sites)}"
    style = files("sinks").joinpath("report.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#site-{number}">{plain(site)}</a>' for number, site in enumerate(sites))
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"/>',
            '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n<meta name="color-scheme" content="light dark"/>',
            f"<title>{plain(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>",
            f"<header><h1>Service and experience</h1><p>{_day(report.since)} to {_day(report.until)}, UTC</p>",
            f"<nav>{links}</nav></header>" if len(sites) > 1 else "</header>",
            *(part for number, site in enumerate(sites) for part in _site(report, examples.get(site, {}), number, site)),
            *_notes(report, made_at),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}" if at.hour == at.minute == 0 else f"{at:%Y-%m-%d %H:%M}"


def _site(report: Report, examples: Mapping[str, Sequence[Mapping[str, Any]]], number: int, site: str) -> Iterator[str]:
    every = report.of(site)
    whole, weeks = every[0], report.weeks.get(every[0].place, ())
    yield f'<section class="site" id="site-{number}"><h2>{plain(site)}</h2>'
    yield from _head(whole)
    if hurting := hurts(report, site):
        yield '<h3>What hurts most</h3><ol class="hurts">'
        yield from (f"<li><strong>{plain(each.title)}</strong> {plain(each.text)}</li>" for each in hurting)
        yield "</ol>"
    yield from _map(report, every)
    yield from _weeks(report, weeks)
    yield from _measures(report, whole, weeks)
    yield from _owners(every[1:])
    yield from _signs(report, whole, examples)
    yield "</section>"


def _head(whole: Standing) -> Iterator[str]:
    yield '<div class="head">'
    for side in SIDES:
        score = whole.score(side)
        yield f'<div class="score {side}"><span class="points">{points(score)}</span><span class="of">{side}<br/>of 100</span></div>'
    lost = money(whole.lost_minor)
    yield f'<div class="verdict"><span class="badge {_STYLES[whole.verdict]}">{whole.verdict}</span>'
    if whole.n_silent:
        yield f"<p>{whole.n_silent:,} left in silence{plain(f', {lost} at stake' if lost else '')}.</p>"
    yield "</div></div>"


def _map(report: Report, every: Sequence[Standing]) -> Iterator[str]:
    placed = [each for each in every if each.place.owner and each.service is not None and each.experience is not None]
    if not placed:
        return
    most = max(1, *(each.n_silent for each in placed))
    dots = [
        Dot(each.place.name, each.service or 0.0, each.experience or 0.0, each.n_silent / most, f"{each.place.name}: {standing_in_words(each)} {each.n_silent:,} left in silence.")
        for each in placed
    ]  # fmt: skip
    yield "<h3>Who stands where</h3><figure>"
    yield owner_map(dots, report.rules.strong_from)
    yield "<figcaption>Journeys and owners; the larger, the more customers left in silence there. Owners of whom too little is known are in the table below.</figcaption></figure>"


def _weeks(report: Report, weeks: Sequence[Week]) -> Iterator[str]:
    if not any(week.service is not None or week.experience is not None for week in weeks):
        return
    lines = [Line(side, side, [week.service if side == "service" else week.experience for week in weeks]) for side in SIDES]
    key = "".join(f'<span class="key {side}">{side}</span>' for side in SIDES)
    yield f'<h3>Week by week</h3><figure><p class="keys">{key}</p>'
    yield weekly_lines([week.monday for week in weeks], lines, report.rules.strong_from)
    yield "<figcaption>Points of the whole site; a week in which too little was measured is a gap, and the first and last may be parts of weeks.</figcaption></figure>"


def _measures(report: Report, whole: Standing, weeks: Sequence[Week]) -> Iterator[str]:
    yield "<h3>What was measured</h3>"
    for side in SIDES:
        yield f'<div class="measures {side}"><h4>{side}</h4>'
        for measure in report.rules.measures:
            if measure.side != side:
                continue
            shown = whole.figures.get(measure.name, Figure(measure, None, 0))
            yield _tile(shown, side, [_weekly(week, measure.name) for week in weeks])
        yield "</div>"


def _weekly(week: Week, name: str) -> float | None:
    found = week.figures.get(name)
    return None if found is None else found.value


def _tile(shown: Figure, side: Side, weekly: Sequence[float | None]) -> str:
    measure, judged = shown.measure, shown.points
    note = f"{judged:.0f} points" if judged is not None else "too few to judge" if measure.good is not None else "not judged"
    return (
        f'<div class="tile" title="{plain(measure.meaning)}"><span class="what">{plain(measure.title)}</span><span class="value">{plain(value(shown))}</span>'
        f'{small_line(weekly, side)}<span class="n">of {shown.n:,}; {note}</span></div>'
    )


def _owners(standings: Sequence[Standing]) -> Iterator[str]:
    shown = [each for each in standings if each.service is not None or each.experience is not None or each.n_silent]
    if not shown:
        return
    yield '<h3>By journey and owner</h3><table class="owners"><thead><tr><th>journey</th><th>owner</th><th>service</th><th>experience</th>'
    yield '<th>verdict</th><th class="number">in silence</th><th class="number">at stake</th></tr></thead><tbody>'
    for each in shown:
        place = each.place
        yield f'<tr class="{"one" if place.owner else "all"}"><td>{plain(place.journey)}</td><td>{plain(place.owner or "all")}</td>'
        yield "".join(_side(each, side) for side in SIDES)
        yield f'<td><span class="badge {_STYLES[each.verdict]}">{each.verdict}</span></td>'
        yield f'<td class="number" data-of="in silence">{each.n_silent:,}</td><td class="number" data-of="at stake">{plain(money(each.lost_minor) or "-")}</td></tr>'
    yield "</tbody></table>"
    left_out = len(standings) - len(shown)
    if left_out:
        yield f'<p class="note">{left_out} more, of whom too little is known.</p>'


def _side(standing: Standing, side: Side) -> str:
    """A score, and below it what costs it most."""
    costs = weakest(standing, side)
    less = f'<span class="n">{plain(costs)}</span>' if costs else ""
    return f'<td class="side" data-of="{side}"><span class="points">{points(standing.score(side))}</span>{less}</td>'


def _signs(report: Report, whole: Standing, examples: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    yield '<h3>Ten signs that the two have come apart</h3><div class="signs">'
    order = {HOLDS: 0, DOES_NOT: 1, TOO_FEW: 2}
    for reading in sorted(whole.readings, key=lambda each: (order[each.standing], each.sign.number)):
        yield from _sign(report, whole.place, reading, examples.get(reading.sign.name, ()))
    yield "</div>"


def _sign(report: Report, place: Place, reading: Reading, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    sign, (word, style) = reading.sign, _HOLDS[reading.standing]
    share = "-" if reading.share is None else f"{100 * reading.share:.1f} %"
    yield f'<article class="sign {style}"><h4><span class="number">{sign.number}</span>{plain(sign.title)}<span class="badge {style}">{word}</span></h4>'
    yield f'<p class="share"><span class="value">{share}</span>{share_bar(reading.share, sign.threshold, style)}<span class="n">holds from {100 * sign.threshold:.0f} %, of {sign.min_n} and more</span></p>'
    most = report.where_most(place.site, sign)
    yield f"<p>{plain(reading.sentence)}{plain(f' Most at {most.place.name}.') if most else ''}</p>"
    if rows:
        yield f"<details><summary>the newest {len(rows)} of them</summary><table><thead><tr><th>{sign.thing}</th><th>journey / owner</th><th>UTC</th><th>why</th></tr></thead><tbody>"
        for row in rows:
            yield f"<tr><td><code>{plain(row['id'])}</code></td><td>{plain(row['journey'])} / {plain(row['owner'])}</td>"
            yield f"<td>{row['at']:%Y-%m-%d %H:%M}</td><td>{plain(row['detail'])}</td></tr>"
        yield f'</tbody></table><p class="n">All: <code>ebbtide report --sign {sign.number}</code></p></details>'
    yield "</article>"


def _notes(report: Report, made_at: datetime) -> Iterator[str]:
    yield "<footer><h3>How to read this</h3><ul>"
    yield f"<li>A measure gives 100 points from where it is good, none where it is poor; a side has the mean, and is strong from {report.rules.strong_from:g}. No side is judged by fewer than {report.rules.min_measures} measures.</li>"
    yield "<li>Service is how customers were helped who asked; experience is what all of them went through. Behind a figure stands of how many it is.</li>"
    yield "<li>Left in silence: began to buy, or waited for something, and neither it came nor did they turn to support or come back.</li>"
    yield "<li>A sign is a share of what was looked at. The mark on its bar is the border from which it holds.</li>"
    yield f"<li>Formulas, borders and sources: <code>sinks/signs/README.md</code>. Made on {made_at:%Y-%m-%d %H:%M} UTC by <code>ebbtide report</code>.</li></ul></footer>"
