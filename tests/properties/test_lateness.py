"""Law 2: the order of arrival within the allowed lateness changes nothing. Nor does that within the horizon, once everything has closed."""

from hypothesis import given

from pipeline.sessions import SessionsFold
from tests import session_oracle
from tests.builders import Event
from tests.strategies import RULES, Crowd, crowds, holds, placed, without
from tests.views import FAR, compared, told

FOLD = SessionsFold(RULES)


@given(crowds("in time"))
def test_the_order_of_arrival_within_the_allowed_lateness_changes_nothing(crowd: Crowd):
    assert not any(verdict.is_late for verdict in session_oracle.verdicts(crowd.log, RULES)[0])

    def broken(log: list[Event]) -> list[str]:
        return compared(told(FOLD, log, until=FAR), told(FOLD, on_time(log), until=FAR))

    assert holds(crowd.log, broken)


@given(crowds("not too late"))
def test_late_events_correct_all_that_they_can(crowd: Crowd):
    """Where no event is too late, the end is the same as if all had come on time."""
    assert all(verdict.fate == session_oracle.APPLIED for verdict in session_oracle.verdicts(crowd.log, RULES)[0])

    def broken(log: list[Event]) -> list[str]:
        return compared(told(FOLD, log, until=FAR), told(FOLD, on_time(log), until=FAR), with_fates=False)

    assert holds(crowd.log, broken)


def on_time(log: list[Event]) -> list[Event]:
    """The same events, each arriving as it happens, all in one batch."""
    return placed((record["event_at"], record) for record in without(log, "cut_before"))
