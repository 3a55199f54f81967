"""Law 3: a repeated event changes nothing.

Of events with no fast clock: a repeat of one from the future has a later record time, and that is news about the time.
"""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.fold import Step
from pipeline.sessions import SessionsFold
from tests.builders import Event
from tests.strategies import RULES, Crowd, crowds, holds, numbered, without
from tests.views import FAR, compared, fates, told

FOLD = SessionsFold(RULES)


@given(crowds("honest"))
def test_a_repeated_event_changes_nothing(crowd: Crowd):
    def broken(log: list[Event]) -> list[str]:
        once, twice = told(FOLD, log, until=FAR), told(FOLD, with_repeats(log), until=FAR)
        applied, applied_twice = ({key: n for key, n in fates(steps).items() if key[1] == "applied"} for steps in (once, twice))
        lines = [] if applied_twice == applied else [f"fates are {applied_twice}, not {applied}"]
        return compared(twice, once, with_fates=False) + lines

    assert holds(crowd.log, broken)


def with_repeats(log: list[Event]) -> list[Event]:
    """Every record again a little later, and in the end the whole log once more."""
    again = without(log, "cut_before", "quiet_before")
    longer = []
    for place, record in enumerate(log):
        longer.append(record)
        longer += again[max(0, place - 2) : place + 1 - place % 3]
    return numbered([*longer, *again])


@given(crowds("in time"), st.integers(0, 2**32))
def test_a_fifth_of_repeats_within_the_horizon_is_counted_as_such_and_changes_nothing(crowd: Crowd, seed: int):
    def broken(log: list[Event]) -> list[str]:
        longer, n = with_a_fifth_again(log, Random(seed))
        once, twice = told(FOLD, log, until=FAR), told(FOLD, longer, until=FAR)
        before, after = total(once), total(twice)
        lines = (
            [] if after == before | {"duplicate": before["duplicate"] + n} else [f"fates are {after}, {n} repeats after {before}"]
        )
        return compared(twice, once, with_fates=False) + lines

    assert holds(crowd.log, broken)


def with_a_fifth_again(log: list[Event], dice: Random) -> tuple[list[Event], int]:
    """Every fifth record once more, up to as late as the horizon goes; and how many."""
    horizon = RULES.dedup_horizon + RULES.allowed_lateness
    again: dict[int, list[Event]] = {}
    chosen = dice.sample(range(len(log)), len(log) // 5)
    for place in chosen:
        record = log[place]
        reached = [later for later in range(place, len(log)) if log[later]["record_at"] <= record["event_at"] + horizon]
        again.setdefault(dice.choice(reached), []).append(*without([record], "cut_before", "quiet_before"))
    longer = [each for place, record in enumerate(log) for each in (record, *again.get(place, ()))]
    return numbered(longer), len(chosen)


def total(steps: Sequence[Step[Any]]) -> Counter[str]:
    """Fate -> records."""
    found = Counter(duplicate=0)
    for (_, fate), (n, _) in fates(steps).items():
        found[fate] += n
    return found
