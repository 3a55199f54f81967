"""The command `ebbtide signals`: what is on, and what other profiles would fire on the user's own events."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from agents import terminal
from agents.replay import Replay, Until
from agents.replay_command import Inputs, folding, reading
from agents.settings import Settings
from agents.signal_trial import Comparison, Count, Firings, SideBySide, compared, profile
from pipeline.definitions import AnySignal

INDENT = "  "


def listed(signals: Sequence[AnySignal]) -> list[dict[str, Any]]:
    """What is on, as JSON."""
    return [
        {
            "name": signal.name,
            "meaning": signal.meaning,
            "profile": signal.profile,
            "weight": signal.weight,
            "rule": {each.name: getattr(signal.rule, each.name) for each in fields(signal.rule)},
            "reads": list(signal.reads),
            "profiles": list(signal.profiles),
            "source": signal.source,
            "is_own": signal.own is not None,
        }
        for signal in signals
    ]


def show_list(signals: Sequence[AnySignal]) -> None:
    """Tell people what is on."""
    console = terminal.told()
    for said in listed(signals):
        console.print(f"[bold]{said['name']}[/bold]  {said['weight']:g} points, profile {said['profile']}")
        rule = ", ".join(f"{name} {_spelt(value)}" for name, value in said["rule"].items())
        profiles = f"profiles: {', '.join(said['profiles'])}" if said["profiles"] else ""
        for line in filter(None, (said["meaning"], f"rule: {rule}", profiles, f"source: {said['source']}")):
            for part in _wrapped(line, console.width):
                console.print(part, markup=False)
        console.print()


def _wrapped(text: str, width: int) -> Iterator[str]:
    yield from textwrap.wrap(text, max(40, width), initial_indent=INDENT, subsequent_indent=2 * INDENT)


def _spelt(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return "none" if value is None else str(value)


def tried(inputs: Inputs, settings: Settings, names: Sequence[str], way: terminal.Way) -> Comparison:
    """What these profiles fire on these events. Raises: agents.mishaps.MISHAPS."""
    rules = settings.session_rules()
    profiles = [profile(name, rules) for name in dict.fromkeys(names)]
    firings = Firings(profiles)
    with inputs.planned() as (engine, planned):
        replay = Replay(planned, (SideBySide(profiles, rules),), settings.bounds(), Until())
        done = replay.run(engine, firings, seen=reading(way), told=folding(way))
    if done.fates["rejected"]:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in done.reasons.items())
        terminal.warning(f"{done.fates['rejected']:,} rows were rejected ({reasons}); `ebbtide replay --check` shows which")
    if not done.fates["applied"]:
        terminal.warning("there was no event of the clickstream to try them on")
    return compared(profiles, firings)


def show_trial(comparison: Comparison) -> None:
    """Tell people where profiles differ."""
    console = terminal.told()
    if not any(each.n for counts in comparison.counts.values() for each in counts.values()):
        console.print(f"Nothing fires on these events by {', '.join(comparison.profiles)}.")
        return
    rows = [(signal, *(_told(each) for each in counts.values())) for signal, counts in comparison.counts.items()]
    right = range(1, len(comparison.profiles) + 1)
    console.print(terminal.table(("signal", *comparison.profiles), rows, title="firings in sessions", numbers=right))
    if any(each.is_default for counts in comparison.counts.values() for each in counts.values()):
        console.print("* this product published no rule for it: ours was taken")
    for each in comparison.differences:
        title = f"{each.signal}: {each.n:,} fired by {each.fired_by}, not by {each.not_by}"
        columns = ("fired_at", "visitor_id", "page", "element", "detail")
        cells = [
            [f"{row[name]:%Y-%m-%d %H:%M:%S}" if name == "fired_at" else row[name] for name in columns] for row in each.examples
        ]
        console.print(terminal.table(columns, cells, title=title))


def _told(count: Count) -> str:
    return f"{f'{count.n:,} in {count.sessions:,}' if count.n else '0'}{' *' if count.is_default else ''}"
