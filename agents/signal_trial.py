"""`ebbtide signals try`: the same events through the sessions fold once for each profile, and where the profiles differ.

A firing is the same under two profiles if the signal fires at the same event of the same visitor: rows have the same `signal_id` then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, ClassVar

import polars as pl

from pipeline.definitions import DEFAULT, AnySignal
from pipeline.fold import Step
from pipeline.frames import SIGNALS as TABLE
from pipeline.session_rules import SessionRules
from pipeline.session_state import SessionState
from pipeline.sessions import SessionsFold
from pipeline.signals import SIGNALS

SETTINGS = "settings"
"""Name of what the settings say, where profiles are named."""
SHOWN = 3
"""Examples of a signal and two profiles."""
_KEY = ("site", "signal", "signal_id")
_EXAMPLE = ("fired_at", "site", "visitor_id", "session_id", "page", "element", "detail")


class NoSuchProfile(ValueError):
    """A profile that no signal has."""


@dataclass(frozen=True)
class Profile:
    """The rules that one column of the comparison stands for."""

    name: str
    signals: tuple[AnySignal, ...]
    missing: frozenset[str]
    """Signals of which it has no rule: ours is taken."""


def profile(name: str, rules: SessionRules) -> Profile:
    """The signals that the settings look for, by the rules of a product. Raises: NoSuchProfile."""
    if name == SETTINGS:
        return Profile(name, rules.signals, frozenset())
    ours = {signal.name: signal for signal in SIGNALS}
    known = [SETTINGS, DEFAULT, *dict.fromkeys(each for signal in SIGNALS for each in signal.profiles)]
    if name not in known:
        near = "".join(f"the nearest is {each!r}; " for each in get_close_matches(name, known, n=1))
        message = f"there is no profile {name!r}; {near}there are {', '.join(known)}"
        raise NoSuchProfile(message)
    chosen = tuple(_with_profile(ours[signal.name], name) if signal.own is None else signal for signal in rules.signals)
    missing = frozenset(signal.name for signal in chosen if signal.own is None and signal.profile != name)
    return Profile(name, chosen, missing)


def _with_profile(signal: AnySignal, name: str) -> AnySignal:
    return signal.with_profile(name) if name in signal.profiles else signal


@dataclass(frozen=True)
class _State:
    each: tuple[SessionState, ...]


class SideBySide:
    """A fold that is several: the rows of `signals` of each, under the name of its profile."""

    name: ClassVar[str] = SessionsFold.name
    family: ClassVar[str] = SessionsFold.family

    def __init__(self, profiles: Sequence[Profile], rules: SessionRules) -> None:
        """Fold with the rules, but the signals of each profile."""
        self._folds = {each.name: SessionsFold(replace(rules, signals=each.signals, store_events=False)) for each in profiles}

    def empty(self) -> _State:
        """Remember nothing."""
        return _State(tuple(fold.empty() for fold in self._folds.values()))

    def step(self, state: _State, batch: pl.DataFrame, watermarks: pl.DataFrame) -> Step[Any]:
        """Fold one batch with each."""
        done = [fold.step(each, batch, watermarks) for fold, each in zip(self._folds.values(), state.each, strict=True)]
        said = zip(self._folds, done, strict=True)
        tables = {name: step.tables[TABLE.name] for name, step in said if TABLE.name in step.tables}
        state = _State(tuple(step.state for step in done))
        return Step(state, tables, done[0].rejects, done[0].fates, done[0].watermarks)


class Firings:
    """What each profile fires, in memory: what a replay writes into."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        """Hear of these profiles."""
        self._said: dict[str, list[pl.DataFrame]] = {each.name: [TABLE.schema.to_frame()] for each in profiles}

    def put(self, tables: dict[str, pl.DataFrame]) -> None:
        """Take the rows of a step; dead letters are only counted, by the replay."""
        for name, rows in tables.items():
            if name in self._said:
                self._said[name].append(rows.select(TABLE.schema.names()))

    def flush(self) -> None:
        """Nothing waits."""

    def counts(self) -> dict[str, int]:
        """There are no tables."""
        return {}

    def of(self, name: str) -> pl.DataFrame:
        """What stands in the end. Frames: -> frames.SIGNALS."""
        last = pl.concat(self._said[name]).unique(_KEY, keep="last", maintain_order=True)
        return last.filter(pl.col("is_deleted") == 0).sort("fired_at", *_KEY)


@dataclass(frozen=True)
class Count:
    """How often one profile fires one signal."""

    n: int
    sessions: int
    is_default: bool
    """The profile has no rule of this signal: ours was taken."""


@dataclass(frozen=True)
class Difference:
    """Firings of one profile that another one does not have."""

    signal: str
    fired_by: str
    not_by: str
    n: int
    examples: tuple[Mapping[str, Any], ...]
    """The first of them."""


@dataclass(frozen=True)
class Comparison:
    """What profiles fire on the same events."""

    profiles: tuple[str, ...]
    counts: Mapping[str, Mapping[str, Count]]
    """Signal -> profile -> how often."""
    differences: tuple[Difference, ...]

    def as_json(self) -> dict[str, object]:
        """It as JSON."""
        return {
            "profiles": list(self.profiles),
            "signals": {name: {of: vars(count) for of, count in each.items()} for name, each in self.counts.items()},
            "differences": [{**vars(each), "examples": list(each.examples)} for each in self.differences],
        }


def compared(profiles: Sequence[Profile], firings: Firings) -> Comparison:
    """The profiles side by side."""
    fired = {each.name: firings.of(each.name) for each in profiles}
    names = [signal.name for signal in profiles[0].signals]
    counts = {
        name: {each.name: _count(fired[each.name].filter(pl.col("signal") == name), name in each.missing) for each in profiles}
        for name in names
    }
    return Comparison(tuple(fired), counts, tuple(_differences(names, fired)))


def _count(rows: pl.DataFrame, is_default: bool) -> Count:  # noqa: FBT001 - private
    return Count(rows.height, rows.select("site", "visitor_id", "session_id").unique().height, is_default)


def _differences(signals: Sequence[str], fired: Mapping[str, pl.DataFrame]) -> Iterator[Difference]:
    for signal in signals:
        for one, its in fired.items():
            for other, others in fired.items():
                rows = its.filter(pl.col("signal") == signal).join(others, on=_KEY, how="anti", maintain_order="left")
                if rows.height:
                    examples = rows.head(SHOWN).select(_EXAMPLE).to_dicts()
                    yield Difference(signal, one, other, rows.height, tuple(examples))
