"""Plots of a report as SVG for a page: lines of weeks, a map of owners, small lines, bars. Colours are the page's.

Small on purpose: no library that draws is a dependency, and these four shapes need none. Every text of data is escaped.

Cases:   nothing was measured in a week -> a gap | one week alone -> a dot
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from html import escape

Values = Sequence[float | None]

_LETTER = 6.6
"""Width of a letter of a name, about, in the units of a plot: bold, and of a wide face."""
_INSET = 34
"""A dot of 0 or 100 points lies so far inside the map, so that it is whole and covers no corner's name."""


@dataclass(frozen=True)
class Line:
    """One line of a plot."""

    name: str
    style: str
    """Its class on the page."""
    values: Values


@dataclass(frozen=True)
class Dot:
    """One owner on the map."""

    name: str
    x: float
    """0 to 100."""
    y: float
    weight: float
    """0 to 1: how large it is."""
    told: str
    """What is said of it where one points at it."""


def plain(text: object) -> str:
    """A text of data as a page can have it: escaped, without what no document may hold, and no line ends before a %."""
    shown = "".join(letter if letter.isprintable() else " " for letter in str(text))
    return escape(shown, quote=True).replace(" %", "&#160;%")


def weekly_lines(mondays: Sequence[date], lines: Sequence[Line], border: float) -> str:
    """Lines from 0 to 100, week by week, with the border from which a side is strong."""
    width, height, left, right, top, bottom = 720, 260, 34, 14, 12, 28

    def x(place: int) -> float:
        return left + (width - left - right) * (place / (len(mondays) - 1) if len(mondays) > 1 else 0.5)

    def y(points: float) -> float:
        return top + (height - top - bottom) * (1 - points / 100)

    parts = [f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="points of both sides, week by week">']
    for points in sorted({0.0, 50.0, 100.0, border}):
        kind = "border" if points == border else "grid"
        parts.append(f'<line class="{kind}" x1="{left}" x2="{width - right}" y1="{y(points):.1f}" y2="{y(points):.1f}"/>')
        parts.append(f'<text class="axis" x="{left - 6}" y="{y(points) + 4:.1f}" text-anchor="end">{points:.0f}</text>')
    every = max(1, -(-len(mondays) // 7))
    for place, monday in enumerate(mondays):
        if (len(mondays) - 1 - place) % every == 0:
            anchor = "end" if place == len(mondays) - 1 and len(mondays) > 1 else "middle"
            parts.append(f'<text class="axis" x="{x(place):.1f}" y="{height - 8}" text-anchor="{anchor}">{monday:%d %b}</text>')
    for line in lines:
        parts += _drawn(
            [(x(place), y(value), value) if value is not None else None for place, value in enumerate(line.values)], line, mondays
        )
    return "".join([*parts, "</svg>"])


def _drawn(points: Sequence[tuple[float, float, float] | None], line: Line, mondays: Sequence[date]) -> list[str]:
    """Runs without a gap, and a dot for every week."""
    parts, run = [], []
    for point in [*points, None]:
        if point is not None:
            run.append(f"{point[0]:.1f},{point[1]:.1f}")
            continue
        if len(run) > 1:
            parts.append(f'<polyline class="{line.style}" points="{" ".join(run)}"/>')
        run = []
    for monday, point in zip(mondays, points, strict=True):
        if point is not None:
            said = f"{plain(line.name)}, week of {monday:%Y-%m-%d}: {point[2]:.0f}"
            parts.append(
                f'<circle class="{line.style}" cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="3.2"><title>{said}</title></circle>'
            )
    return parts


def owner_map(dots: Sequence[Dot], border: float) -> str:
    """Service to the right, experience upwards; what lies where is what its corner says."""
    width, height, left, right, top, bottom = 720, 470, 44, 16, 14, 40

    def x(points: float) -> float:
        return left + _INSET + (width - left - right - 2 * _INSET) * points / 100

    def y(points: float) -> float:
        return top + _INSET + (height - top - bottom - 2 * _INSET) * (1 - points / 100)

    middle, corner = (x(border), y(border)), (width - right, height - bottom)
    parts = [
        f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="owners by service and experience">',
        f'<rect class="bad" x="{left}" y="{middle[1]:.1f}" width="{middle[0] - left:.1f}" height="{corner[1] - middle[1]:.1f}"/>',
        f'<rect class="mixed" x="{left}" y="{top}" width="{middle[0] - left:.1f}" height="{middle[1] - top:.1f}"/>',
        f'<rect class="mixed" x="{middle[0]:.1f}" y="{middle[1]:.1f}" width="{corner[0] - middle[0]:.1f}" height="{corner[1] - middle[1]:.1f}"/>',
        f'<rect class="good" x="{middle[0]:.1f}" y="{top}" width="{corner[0] - middle[0]:.1f}" height="{middle[1] - top:.1f}"/>',
    ]
    taken: list[Box] = []
    for at_x, at_y, anchor, said in (
        (left + 8, top + 16, "start", "weak service / strong experience"),
        (width - right - 8, top + 16, "end", "both strong"),
        (left + 8, height - bottom - 8, "start", "both weak"),
        (width - right - 8, height - bottom - 8, "end", "strong service / weak experience"),
    ):
        parts.append(f'<text class="corner" x="{at_x}" y="{at_y}" text-anchor="{anchor}">{said}</text>')
        taken.append(_box(said, at_x, at_y, anchor))
    for points in (0, 50, 100):
        parts.append(f'<text class="axis" x="{x(points):.1f}" y="{height - bottom + 16}" text-anchor="middle">{points}</text>')
        parts.append(f'<text class="axis" x="{left - 8}" y="{y(points) + 4:.1f}" text-anchor="end">{points}</text>')
    parts.append(f'<text class="name" x="{(left + width - right) / 2:.0f}" y="{height - 6}" text-anchor="middle">service</text>')
    turned = f'transform="translate(13 {(top + height - bottom) / 2:.0f}) rotate(-90)"'
    parts.append(f'<text class="name" {turned} text-anchor="middle">experience</text>')
    taken += [(x(dot.x) - 6, y(dot.y) - 6, x(dot.x) + 6, y(dot.y) + 6) for dot in dots]
    inside = (left, top, width - right, height - bottom)
    for dot in sorted(dots, key=lambda each: -each.weight):
        dot_x, dot_y, radius = x(dot.x), y(dot.y), 5 + 11 * dot.weight**0.5
        text_x, text_y, anchor = _label(dot.name, (dot_x, dot_y, radius), taken, inside)
        parts.append(
            f'<circle class="dot" cx="{dot_x:.1f}" cy="{dot_y:.1f}" r="{radius:.1f}"><title>{plain(dot.told)}</title></circle>'
        )
        parts.append(f'<text class="label" x="{text_x:.1f}" y="{text_y:.1f}" text-anchor="{anchor}">{plain(dot.name)}</text>')
    return "".join([*parts, "</svg>"])


Box = tuple[float, float, float, float]


def _label(text: str, dot: tuple[float, float, float], taken: list[Box], inside: Box) -> tuple[float, float, str]:
    """A place beside a dot that covers least of other labels and dots, of equals the nearest; it is taken then."""
    x, y, radius = dot
    gap = radius + 5
    beside = [
        (x + gap if anchor == "start" else x - gap, y + 4 + step, anchor)
        for step in (0, -14, 14, -28, 28, -42, 42)
        for anchor in ("start", "end")
    ]
    tried = [*beside[:2], (x, y + radius + 14, "middle"), (x, y - radius - 6, "middle"), *beside[2:]]
    within = [each for each in tried if _within(_box(text, *each), inside)] or tried
    found = min(within, key=lambda each: sum(_overlap(_box(text, *each), other) for other in taken))
    taken.append(_box(text, *found))
    return found


def _box(text: str, x: float, y: float, anchor: str) -> Box:
    """What a text covers, about."""
    wide = _LETTER * len(text)
    begin = x - wide * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
    return (begin, y - 11, begin + wide, y + 3)


def _within(box: Box, inside: Box) -> bool:
    return box[0] >= inside[0] and box[1] >= inside[1] and box[2] <= inside[2] and box[3] <= inside[3]


def _overlap(one: Box, other: Box) -> float:
    """The area that both cover."""
    wide, high = (min(one[at + 2], other[at + 2]) - max(one[at], other[at]) for at in (0, 1))
    return max(wide, 0.0) * max(high, 0.0)


def small_line(values: Values, style: str) -> str:
    """A line as high as its own values reach, with its last value marked."""
    width, height, edge = 150, 34, 4
    known = [value for value in values if value is not None]
    if not known:
        return f'<svg class="small" viewBox="0 0 {width} {height}" aria-hidden="true"></svg>'
    low, high = min(known), max(known)
    step = (width - 2 * edge) / max(1, len(values) - 1)
    points = [
        None if value is None else (edge + place * step, height / 2 if high == low else height - edge - (height - 2 * edge) * (value - low) / (high - low))
        for place, value in enumerate(values)
    ]  # fmt: skip
    parts, run = [f'<svg class="small" viewBox="0 0 {width} {height}" aria-hidden="true">'], []
    for point in [*points, None]:
        if point is not None:
            run.append(point)
            continue
        if len(run) > 1:
            parts.append(f'<polyline class="{style}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in run)}"/>')
        elif run:
            parts.append(f'<circle class="{style}" cx="{run[0][0]:.1f}" cy="{run[0][1]:.1f}" r="1.6"/>')
        run = []
    last = next(point for point in reversed(points) if point is not None)
    return "".join([*parts, f'<circle class="{style}" cx="{last[0]:.1f}" cy="{last[1]:.1f}" r="2.6"/></svg>'])


def share_bar(share: float | None, threshold: float, style: str) -> str:
    """A share of all, and the border from which it counts."""
    filled = 0.0 if share is None else min(1.0, share)
    return (
        '<svg class="bar" viewBox="0 0 200 14" preserveAspectRatio="none" aria-hidden="true"><rect class="empty" x="0" y="4" width="200" height="6" rx="3"/>'
        f'<rect class="{style}" x="0" y="4" width="{200 * filled:.1f}" height="6" rx="3"/>'
        f'<rect class="mark" x="{200 * threshold - 0.75:.1f}" y="0" width="1.5" height="14"/></svg>'
    )
