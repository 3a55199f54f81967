"""The command `ebbtide expectations`: what is waited for, as people and as programs read it."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from agents import terminal
from pipeline.calendars import WORKING_HOURS
from pipeline.expectation import Expectation, Rhythm

INDENT = "  "


def listed(expectations: Sequence[Expectation]) -> list[dict[str, Any]]:
    """What is on, as JSON; spans in seconds."""
    return [
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
        }
        for each in expectations
        if each.enabled != "off"
    ]


def _rhythm(rhythm: Rhythm) -> dict[str, float]:
    return {
        "times": rhythm.times,
        "last": rhythm.last,
        "at_least": rhythm.at_least,
        "shortest_s": rhythm.shortest.total_seconds(),
    }


def show_list(expectations: Sequence[Expectation]) -> None:
    """Tell people what is on."""
    console = terminal.told()
    for each in expectations:
        if each.enabled == "off":
            continue
        console.print(f"[bold]{each.name}[/bold]  {each.owner}, {each.journey}: {each.step}")
        for line in lines(each):
            for part in textwrap.wrap(line, max(40, console.width), initial_indent=INDENT, subsequent_indent=2 * INDENT):
                console.print(part, markup=False)
        console.print()
    console.print("auto: a wait lapses where the shop sent what is awaited in the 30 days before it was due", markup=False)


def lines(each: Expectation) -> Iterator[str]:
    """What there is to say of one, a line each; the source last."""
    yield each.meaning
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
