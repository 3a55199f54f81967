"""Law 3: a repeated event changes nothing.

Of events with no fast clock: a repeat of one from the future has a later record time, and that is news about the time.
"""

from hypothesis import given

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
