"""The command `ebbtide score`: what is unusual in a series, for programs and for people."""

from collections.abc import Iterator, Sequence
from typing import Any

from agents import terminal
from agents.series_files import Series
from pipeline.series_score import MOST, scores

ROWS = 10
"""Moments that people are shown."""
UNUSUAL = 0.5
"""Score from which a row is marked: normal noise reaches it once in 1,000 rows."""
DIGITS = 6
BARS = "▁▂▃▄▅▆▇█"


def scored(series: Series) -> list[float]:
    """The score of each row, in order."""
    return [round(score, DIGITS) for score in scores(zip(series.at_s, series.values, strict=True))]


def as_json(series: Series, found: Sequence[float]) -> list[dict[str, Any]]:
    """Rows in order; times as the file has them."""
    rows = zip(series.times, series.values, found, strict=True)
    return [{"timestamp": time, "value": value, "score": score} for time, value, score in rows]


def show(series: Series, found: Sequence[float]) -> None:
    """Tell people what is most unusual, and where in the series it is."""
    console = terminal.told()
    unusual = [row for row, score in enumerate(found) if score >= UNUSUAL]
    for line in picture(series.values, found, max(10, min(console.width, 100))):
        console.print(line, markup=False)
    console.print(f"{series.column}: {len(found):,} rows, {len(unusual):,} of them unusual (score from {UNUSUAL:g})")
    peaks = sorted(_peaks(found), key=lambda row: (-found[row], row))[:ROWS]
    cells = [
        (row + 1, terminal.plain(series.times[row]), series.values[row], f"{found[row]:.3f}", "█" * round(found[row] * 10))
        for row in sorted(peaks)
    ]
    if cells:
        title = "most unusual, of neighbours the highest"
        console.print(terminal.table(("row", "time", series.column, "score", ""), cells, title=title, numbers=(0, 2, 3)))


def picture(values: Sequence[float | None], found: Sequence[float], width: int) -> tuple[str, str]:
    """The series as bars, and below it marks where something is unusual."""
    n = min(width, len(values))
    parts = [slice(len(values) * place // n, len(values) * (place + 1) // n) for place in range(n)]
    there = [[value for value in values[part] if value is not None and abs(value) <= MOST] for part in parts]
    means = [sum(each) / len(each) if each else None for each in there]
    known = [mean for mean in means if mean is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    step = (high - low) / (len(BARS) - 1) or 1.0
    line = "".join(" " if mean is None else BARS[round((mean - low) / step)] for mean in means)
    return line, "".join("^" if max(found[part]) >= UNUSUAL else " " for part in parts)


def _peaks(found: Sequence[float]) -> Iterator[int]:
    """Rows that are unusual, of neighbours that with the highest score."""
    best: int | None = None
    for row, score in enumerate(found):
        if score < UNUSUAL:
            if best is not None:
                yield best
            best = None
        elif best is None or score > found[best]:
            best = row
    if best is not None:
        yield best
