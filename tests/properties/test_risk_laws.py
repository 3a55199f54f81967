"""Who is at risk: what the oracle says, and the laws, for what the topic ends up with. In between, bands that nobody was in for a whole batch are not told."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.case_risk import CaseRisk
from pipeline.fold import Step
from pipeline.fulfilment import FulfilmentFold
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.risk import RiskBands
from pipeline.session_risk import SessionRisk
from pipeline.sessions import SessionsFold
from tests import commerce_strategies as commerce
from tests import risk_oracle
from tests.builders import Event
from tests.commerce_strategies import FEW, Office, offices
from tests.properties.test_recovery import started_again, through_arrow
from tests.strategies import RULES, Crowd, crowds, holds, without
from tests.told_risk import compared, not_told_over_once, open_rows
from tests.views import FAR, batches, told

BANDS = RiskBands(floor=0.2, width=0.05)
VISITS = replace(RULES, risk_bands=BANDS, risk=SessionRisk(base=-1.0, silent_min=(0.5, 2.0, 10.0), silent=(0.4, 1.0, 2.0)))
CASES = replace(commerce.RULES, risk_bands=BANDS, risk=CaseRisk(whole_wait=6.0, base_of_others=-1.0, base={}))
OTHER_CASES = replace(
    commerce.OTHER_RULES,
    risk_bands=BANDS,
    expectations=tuple(replace(each, enabled="on") for each in commerce.OTHER_RULES.expectations),
)
"""With `auto` a case is at risk from when it is next looked at after the shop has sent for the first time what is awaited: until then batches matter."""
OF_VISITS = SessionsFold(VISITS)

MOMENTS = 10
"""So often in a log it is looked who is at risk."""

SAID_OF_VISITS = ("band", "customer_id", "journey", "step", "owner", "reasons", "expectation")
"""What hangs on the last event alone (when it would lapse, what it is worth) may be a minute behind, as in `sessions`."""
SAID_OF_CASES = (*SAID_OF_VISITS, "visitor_id", "session_id", "order_id", "account_id", "would_lapse_at", "value_minor", "currency")


@given(crowds(), st.sampled_from(("as it came", "in one go", "started again")))
def test_visits_at_risk_are_those_of_the_oracle_at_any_time(crowd: Crowd, way: str):
    """However the log is cut, whatever of it comes twice or late, wherever a checkpoint is taken."""

    def broken(log: list[Event]) -> list[str]:
        read = without(log, "cut_before") if way == "in one go" else log
        steps = told(OF_VISITS, read, until=FAR, between=started_again if way == "started again" else as_it_is)
        return unlike(steps, read, lambda some: risk_oracle.visits(some, VISITS), SAID_OF_VISITS)

    assert holds(crowd.log, broken)


@FEW
@given(offices(), st.sampled_from((CASES, OTHER_CASES)), st.sampled_from(("as it came", "in one go", "started again")))
def test_cases_at_risk_are_those_of_the_oracle_at_any_time(office: Office, rules: FulfilmentRules, way: str):
    fold = FulfilmentFold(rules)

    def again(state: Any) -> Any:
        kept = {at: {piece.name: through_arrow(piece.frame()) for piece in state.pieces(at)} for at in (0, 1)}
        return fold.empty().restored(0, kept[0]).restored(1, kept[1])

    def broken(log: list[Event]) -> list[str]:
        read = without(log, "cut_before") if way == "in one go" else log
        steps = told(fold, read, until=commerce.FAR, between=again if way == "started again" else as_it_is)
        return unlike(steps, read, lambda some: risk_oracle.cases(some, rules), SAID_OF_CASES)

    assert holds(office.log, broken)


def unlike(
    steps: Sequence[Step[Any]], log: Sequence[Event], right: Callable[[Sequence[Event]], Sequence[Event]], said: Sequence[str]
) -> list[str]:
    """A line for everybody who was not told at some time as the oracle tells it of what was known by then."""
    by_then = [
        line
        for n_steps, n_records in moments(log)
        for line in compared(open_rows(steps[:n_steps], BANDS), right(log[:n_records]), said)
    ]
    return by_then + not_told_over_once(steps)


def moments(log: Sequence[Event]) -> list[tuple[int, int]]:
    """Some ends of batches, the last among them: how many batches, and how many records, lie before each."""
    ends = list(accumulate(map(len, batches(log))))
    return [(place + 1, ends[place]) for place in range(len(ends) - 1, -1, -max(1, len(ends) // MOMENTS))]


def as_it_is(state: Any) -> Any:
    return state
