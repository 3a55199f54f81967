"""Law 5: every record is exactly one of applied, duplicate and too late, and the fates add up to what was read."""

from collections import Counter

from hypothesis import given

from pipeline.sessions import SessionsFold
from tests import session_oracle
from tests.builders import Event
from tests.strategies import RULES, Crowd, crowds, holds
from tests.views import fates, refused, told

FOLD = SessionsFold(RULES)


@given(crowds())
def test_every_record_has_one_fate_and_it_is_the_oracles(crowd: Crowd):
    """Fates add up to what was read, what was too late is named record by record, and time goes on whatever becomes of a record."""

    def broken(log: list[Event]) -> list[str]:
        steps, (judged, reached) = told(FOLD, log), session_oracle.verdicts(log, RULES)
        late = sorted((v.record["partition"], v.record["offset"], "too_late") for v in judged if v.fate == session_oracle.TOO_LATE)
        summed = Counter(partition for (partition, _), (n, _late) in fates(steps).items() for _ in range(n))
        pairs = {
            "fates": (fates(steps), session_oracle.fates(log, RULES)),
            "their sum": (summed, Counter(record["partition"] for record in log)),
            "refused": (refused(steps), late),
            "watermarks": (dict(steps[-1].watermarks.rows()), reached),
        }
        return [f"{what} are {shown}, not {right}" for what, (shown, right) in pairs.items() if shown != right]

    assert holds(crowd.log, broken)
