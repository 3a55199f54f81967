"""The command `ebbtide expectations`: what is waited for, as people and as programs read it."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import polars as pl

from agents import terminal, visit_expectation
from agents.auto_verdicts import Verdict
from pipeline.calendars import WORKING_HOURS
from pipeline.expectation import Expectation, Rhythm
from pipeline.expectations import CATALOGUE
from pipeline.session_rules import SessionRules

INDENT = "  "
WIDE = 130
"""Columns of a terminal in which a table of them can be read."""
OWN, CHANGED, SHIPS = "own", "changed", "ships"


def origin(each: Expectation) -> str:
    """Whether it is the user's own, one that ships and was changed in settings, or as it ships."""
    ships = {known.name: known for known in CATALOGUE}
    if each.name not in ships:
        return OWN
    return SHIPS if each == ships[each.name] else CHANGED


def listed(
    expectations: Sequence[Expectation], visits: SessionRules, verdicts: Mapping[str, Sequence[Verdict]] | None = None
) -> list[dict[str, Any]]:
    """All of them, as JSON; spans in seconds. `verdicts`: as a store tells them; None: none was looked into."""
    told = [
        {
            "name": each.name,
            "meaning": each.meaning,
            "key": each.key,
            "after": list(each.after),
            "expect": list(each.expect),
            "unless": list(each.unless),
            "at_once": list(each.at_once),
            "within_s": None if each.within is None else each.within.total_seconds(),
            "due": each.due,
            "rhythm": None if each.rhythm is None else _rhythm(each.rhythm),
            "calendar": each.calendar,
            "re_arm": each.re_arm,
            "journey": each.journey,
            "step": each.step,
            "owner": each.owner,
            "silence_s": each.silence.total_seconds(),
            "recovery_s": each.recovery.total_seconds(),
            "enabled": each.enabled,
            "source": each.source,
            "origin": origin(each),
            "sites": None if verdicts is None or each.name not in verdicts else [said.as_json() for said in verdicts[each.name]],
        }
        for each in expectations
    ]
    return [visit_expectation.as_json(visits), *told]


def _rhythm(rhythm: Rhythm) -> dict[str, float]:
    return {
        "times": rhythm.times,
        "last": rhythm.last,
        "at_least": rhythm.at_least,
        "shortest_s": rhythm.shortest.total_seconds(),
    }


def show(expectations: Sequence[Expectation], visits: SessionRules) -> None:
    """Tell people all of them: a row each, or one after the other where the terminal is too narrow for that."""
    console = terminal.told()
    of_visits = visit_expectation.row(visits)
    rows = [
        (
            f"{each.name}{_mark(each)}",
            "\n".join((*each.after, *(f"-> {name}" for name in each.expect))),
            _due(each),
            each.owner,
            f"{each.journey}: {each.step}",
            f"{_span(each.silence)}, {_span(each.recovery)}",
            each.enabled,
        )
        for each in expectations
    ]
    if console.width < WIDE:
        show_long(expectations, visits)
    else:
        columns = ("expectation", "after -> expect", "due", "owner", "step", "silent, recovers", "on")
        console.print(terminal.table(columns, [of_visits, *rows]), soft_wrap=False)
        console.print("--long says what each means, what voids it, and where its numbers come from", markup=False)
    console.print("auto: a wait lapses where the site sent what is awaited in the 30 days before it was due", markup=False)


def show_long(expectations: Iterable[Expectation], visits: SessionRules) -> None:
    """Tell people everything there is to say."""
    of_visits = visit_expectation
    _show_one(of_visits.NAME, f"{of_visits.OWNER}, {of_visits.journeys(visits)}: {of_visits.STEP}", of_visits.lines(visits))
    for each in expectations:
        _show_one(each.name, f"{each.owner}, {each.journey}: {each.step}", lines(each), _mark(each))


def _show_one(name: str, whose: str, told: Iterable[str], mark: str = "") -> None:
    console = terminal.told()
    console.print(f"[bold]{name}[/bold]{mark}  {whose}")
    for line in told:
        for part in textwrap.wrap(line, max(40, console.width), initial_indent=INDENT, subsequent_indent=2 * INDENT):
            console.print(part, markup=False)
    console.print()


def show_verdicts(verdicts: Mapping[str, Sequence[Verdict]], seen: pl.DataFrame) -> None:
    """Tell people where what is `auto` is on, and why."""
    words = {True: "on", False: "off", None: "unknown"}
    rows = sorted((said.site, name, words[said.is_on], said.why) for name, of in verdicts.items() for said in of)
    console = terminal.told()
    console.print(
        terminal.table(
            ("site", "expectation", "auto is", "why"),
            rows,
            title=f"by the events of the store, the last at {terminal.plain(seen['last_at'].max())}",
        ),
        soft_wrap=False,
    )


def _mark(each: Expectation) -> str:
    said = origin(each)
    return "" if said == SHIPS else f" ({said})"


def lines(each: Expectation) -> Iterator[str]:
    """What there is to say of one, a line each; the source last."""
    yield each.meaning or "Nobody has said what it means."
    yield f"after {', '.join(each.after)}, for each {each.key}{_moved(each)}"
    yield f"until {', '.join(each.expect)}"
    if each.unless:
        yield f"void by {', '.join(each.unless)}"
    if each.at_once:
        yield f"due at once on {', '.join(each.at_once)}"
    yield f"due: {_due(each)}"
    yield f"silent {_span(each.silence)} later; recovers within {_span(each.recovery)}; {each.enabled}"
    yield f"source: {each.source}"


def _moved(each: Expectation) -> str:
    return "; the latest counts" if each.re_arm == "latest" else ""


def _due(each: Expectation) -> str:
    hours = " of working time" if each.calendar == WORKING_HOURS else ""
    within = "" if each.within is None else f"within {_span(each.within)}{hours}"
    if each.rhythm is not None:
        rhythm = each.rhythm
        usual = f"{rhythm.times:g} times the median gap of the last {rhythm.last}, at least {_span(rhythm.shortest)}"
        return f"{usual}; {within} while there are fewer than {rhythm.at_least}"
    if each.due is None:
        return within
    return f"its {each.due}" + (f", else {within}" if within else "")


def _span(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    if hours and not hours % 24:
        return f"{hours / 24:g} d"
    return f"{hours:g} h"
