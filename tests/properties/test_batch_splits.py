"""Law 1: batch boundaries change nothing."""

from hypothesis import given

from pipeline.sessions import SessionsFold
from tests.builders import Event
from tests.strategies import RULES, Crowd, crowds, holds, without
from tests.views import ALWAYS_FRESH, FAR, compared, told

FOLD = SessionsFold(RULES)


@given(crowds())
def test_batch_boundaries_change_nothing(crowd: Crowd):
    """Nor any fate: a record's lateness is judged against the watermark just before it, not against that of its batch."""

    def broken(log: list[Event]) -> list[str]:
        cut, whole = (told(FOLD, some, until=FAR) for some in (log, without(log, "cut_before")))
        return compared(cut, whole) + compared(cut[:-1], whole[:-1], only=ALWAYS_FRESH)

    assert holds(crowd.log, broken)


@given(crowds())
def test_partitions_do_not_know_each_other(crowd: Crowd):
    """One step over all partitions is a step over each."""

    def broken(log: list[Event]) -> list[str]:
        partitions = sorted({record["partition"] for record in log})
        alone = [step for at in partitions for step in told(FOLD, [r for r in log if r["partition"] == at], until=FAR)]
        return compared(alone, told(FOLD, log, until=FAR))

    assert holds(crowd.log, broken)
