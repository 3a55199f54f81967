"""Every signal with its rule, its profiles, its weight and where its numbers come from, as the page `pipeline/signals/README.md`.

`python -m agents.signal_catalogue` prints it; a test checks that the page is what this says.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from agents.settings_section import attribute_docs
from pipeline.definitions import AnySignal, Fires
from pipeline.signals import SIGNALS

FILE = Path("pipeline/signals/README.md")

HEAD = """\
# Signals: friction of the web journey

What happened that should not have.
Each is one file here: a rule that is a value, what it reads, how far it looks back, examples that fire and that stay quiet, and where its numbers come from.
This page is made from these files: `make docs`.

- **Rule**: a section `[signals.NAME]` of the settings; `enabled = false` leaves a signal out, `profile = "datadog"` takes the rule that a product published,
  numbers beside it change it. Profiles can be mixed, one a signal.
- **Owner** of a row: the team that owns the step at which it fired (the event's own, else the furthest one reached by then), as the journeys in the settings say.
- **Weight**: points that one firing adds to the friction score of its session and of its step, which ends at 100 (`pipeline/friction.py`).
- **Looks back**: what fires at a time depends on what the visitor did in that span before it, and on nothing else; a late event has it judged again.
- What the emitter's own tool reports (`rage_click`, `dead_click`, `error_click`) is taken as such, and told once if we find it too.
- Bots feel no friction.
- **Profiles** are there where a number is public. There is none of FullStory, Clarity and Contentsquare, which say it in words alone: FullStory's pages on its rage click
  hook (developer.fullstory.com/browser/rage-clicks) and on finding frustration name no count, time or distance, and its help is quoted with "multiple times, rapidly, in the
  same area" and "within a few seconds". Numbers that others give for it lead to no page of its own. Its reports can be had as events: `rage_click`, `dead_click`, `error_click`.
"""


def catalogue() -> str:
    """The text of the page."""
    return "\n".join([HEAD, *_overview(), *(line for signal in SIGNALS for line in _section(signal))])


def _overview() -> Iterator[str]:
    rows = [
        (f"[{signal.name}](#{signal.name})", signal.meaning, f"{signal.weight:g}", ", ".join(signal.profiles) or "-")
        for signal in SIGNALS
    ]
    yield from table(("signal", "meaning", "weight", "profiles"), rows)


def _section(signal: AnySignal) -> Iterator[str]:
    yield f"\n## {signal.name}\n"
    yield f"{signal.meaning}\n"
    back = "its session: it is judged when that closes" if signal.closing else _span(signal.look_back)
    yield f"- reads: {_code(signal.reads)}"
    yield f"- looks back: {back}"
    yield f"- value of a row: {signal.measures}"
    yield f"- evidence: {_code(signal.evidence)}"
    yield f"- weight: {signal.weight:g}; owner: that of {'the furthest step reached' if signal.at_furthest else 'the step'}\n"
    said = attribute_docs(type(signal.rule))
    rules = {"default": signal.rule, **signal.profiles}
    yield from table(
        ("rule", *rules, "meaning"),
        (
            (f"`{each.name}`", *(_value(getattr(rule, each.name)) for rule in rules.values()), said.get(each.name, ""))
            for each in fields(signal.rule)
        ),
    )
    yield f"\n{signal.source}\n"
    fires = [each for each in signal.examples if isinstance(each, Fires) and each.profile == "default"]
    quiet = [each for each in signal.examples if not isinstance(each, Fires) and each.profile == "default"]
    yield f"Fires: {'; '.join(each.title for each in fires)}.\n"
    yield f"Stays quiet: {'; '.join(each.title for each in quiet)}."


def _span(span: timedelta) -> str:
    if not span:
        return "at nothing: the event alone tells"
    seconds = span.total_seconds()
    return f"{seconds / 60:g} min" if seconds >= 120 else f"{seconds:g} s"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table of Markdown."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


if __name__ == "__main__":
    sys.stdout.write(f"{catalogue()}\n")
