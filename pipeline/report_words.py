"""A report in words: figures as people read them, and what hurts most, first.

Frames:  Report -> sentences
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.money import spelt
from pipeline.reports import Place, Report, Standing
from pipeline.signs import Reading, Sign
from pipeline.verdicts import EXPERIENCE, NOT_ENOUGH, SERVICE, SIDES, Figure, Side

MOST_OWNERS, MOST_SIGNS = 3, 4
"""So many of each are called what hurts most."""


@dataclass(frozen=True)
class Hurt:
    """One thing that hurts."""

    title: str
    text: str
    place: Place
    sign: Sign | None = None
    """None: it is an owner's, and no sign."""


def value(figure: Figure) -> str:
    """What a measure came to, with its unit; '-': nothing."""
    amount, unit = figure.value, figure.measure.unit
    if amount is None:
        return "-"
    if unit == "share":
        return f"{100 * amount:.0f} %" if amount >= 0.1 or amount == 0 else f"{100 * amount:.1f} %"
    if unit in {"min", "h"}:
        minutes = amount * (60 if unit == "h" else 1)
        if minutes < 90:
            return f"{minutes:.0f} min" if minutes >= 1 else "under 1 min"
        return f"{minutes / 60:.1f} h" if minutes < 48 * 60 else f"{minutes / 1440:.1f} d"
    if unit == "":
        return f"{amount:,.0f}"
    return f"{amount:.0f}" if figure.measure.name == "nps" else f"{amount:,.2f}"


def figure(shown: Figure) -> str:
    """With its name and its number."""
    return f"{shown.measure.title} {value(shown)} ({shown.n:,}{'' if shown.is_enough else ', too few'})"


def money(lost: Mapping[str, int]) -> str:
    """Amounts in all currencies; '' for none."""
    return ", ".join(spelt(minor, currency) for currency, minor in lost.items())


def points(score: float | None) -> str:
    """A score; '-': none."""
    return "-" if score is None else f"{score:.0f}"


def weakest(standing: Standing, side: Side, most: int = 1) -> str:
    """What costs a side most, of what is not good."""
    return ", ".join(figure(each) for each in standing.judged(side)[:most] if (each.points or 0) < 100)


def standing_in_words(standing: Standing) -> str:
    """The verdict with both scores; where there is none, what is known."""
    if standing.verdict != NOT_ENOUGH:
        return f"{standing.verdict} ({points(standing.service)} / {points(standing.experience)} of 100)."
    known = [
        f"{side} {points(score)} of 100" if (score := standing.score(side)) is not None else f"too little is known of {side}"
        for side in SIDES
    ]
    return f"{', '.join(known)}."


def hurts(report: Report, site: str) -> list[Hurt]:
    """What hurts most at a site: owners of what was lost in silence, then the signs that hold, the clearest first."""
    every = report.of(site)
    owners = [each for each in every if each.place.owner and each.n_silent]
    found = [_owner(each) for each in sorted(owners, key=lambda each: -each.n_silent)[:MOST_OWNERS]]
    whole = next((each for each in every if not each.place.journey), None)
    return found + ([_sign(report, whole, each) for each in whole.holding[:MOST_SIGNS]] if whole else [])


def _owner(standing: Standing) -> Hurt:
    lost = money(standing.lost_minor)
    said = [f"{standing.n_silent:,} left in silence{f', {lost} at stake' if lost else ''}."]
    said.append(_capital(standing_in_words(standing)))
    if costs := weakest(standing, EXPERIENCE, 2):
        said.append(f"The experience suffers most from: {costs}.")
    if standing.service is not None and standing.service < 50 and (costs := weakest(standing, SERVICE, 2)):
        said.append(f"The service from: {costs}.")
    return Hurt(standing.place.name, " ".join(said), standing.place)


def _sign(report: Report, whole: Standing, reading: Reading) -> Hurt:
    most = report.where_most(whole.place.site, reading.sign)
    where = ""
    if most is not None:
        theirs = next(each for each in most.readings if each.sign.name == reading.sign.name)
        where = f" Most of them at {most.place.name}: {theirs.n_hits:,} of {theirs.n:,}."
    return Hurt(reading.sign.title, f"{reading.sentence}{where}", most.place if most else whole.place, reading.sign)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
