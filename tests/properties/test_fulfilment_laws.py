"""The fold by order: what the oracle shows, and the five laws."""

from collections import Counter
from dataclasses import replace

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.facts import SAID
from pipeline.fulfilment import FulfilmentFold
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.risk_tables import AT_RISK
from tests import fulfilment_oracle, session_oracle
from tests.builders import Event
from tests.commerce_strategies import FAR, FEW, OTHER_RULES, RULES, Office, offices
from tests.properties.test_recovery import through_arrow
from tests.strategies import holds, numbered, placed, without
from tests.views import compared, counted, differences, fates, now, refused, told

FOLD = FulfilmentFold(RULES)


@FEW
@given(offices(), st.sampled_from((RULES, OTHER_RULES, replace(OTHER_RULES, promise_by="time"))))
def test_the_fold_shows_what_the_oracle_shows_at_any_time(office: Office, rules: FulfilmentRules):
    """At the end of the log, when much is undecided, and long after."""

    def broken(log: list[Event]) -> list[str]:
        steps = told(FulfilmentFold(rules), log, until=FAR)
        decided = fulfilment_oracle.tables(log, rules, dict.fromkeys((record["partition"] for record in log), FAR))
        by_then = differences(counted(now(steps[:-1])), fulfilment_oracle.tables(log, rules))
        return differences(counted(now(steps)), decided) + [f"before the end: {line}" for line in by_then]

    assert holds(office.log, broken)


@FEW
@given(offices(), st.sampled_from((RULES, OTHER_RULES)))
def test_batch_boundaries_change_nothing(office: Office, rules: FulfilmentRules):
    fold = FulfilmentFold(rules)

    def broken(log: list[Event]) -> list[str]:
        cut, whole = (told(fold, some, until=FAR) for some in (log, without(log, "cut_before")))
        return compared(cut, whole) + compared(cut[:-1], whole[:-1])

    assert holds(office.log, broken)


@FEW
@given(offices())
def test_partitions_do_not_know_each_other(office: Office):
    """One step over all partitions is a step over each."""

    def broken(log: list[Event]) -> list[str]:
        shown: dict[str, list[pl.DataFrame]] = {}
        for at in sorted({record["partition"] for record in log}):
            for name, rows in counted(now(told(FOLD, [r for r in log if r["partition"] == at], until=FAR))).items():
                shown.setdefault(name, []).append(rows)
        whole = counted(now(told(FOLD, log, until=FAR)))
        apart = {name: pl.concat(frames).to_dicts() for name, frames in shown.items()}
        return differences(whole, apart)

    assert holds(office.log, broken)


@FEW
@given(offices("in time"))
def test_the_order_of_arrival_within_the_allowed_lateness_changes_nothing(office: Office):
    assert not any(verdict.is_late for verdict in session_oracle.verdicts(office.log, RULES)[0])

    def broken(log: list[Event]) -> list[str]:
        return compared(told(FOLD, log, until=FAR), told(FOLD, on_time(log), until=FAR))

    assert holds(office.log, broken)


@FEW
@given(offices("not too late"), st.sampled_from((RULES, replace(OTHER_RULES, dedup_horizon=RULES.dedup_horizon))))
def test_late_events_correct_all_that_they_can(office: Office, rules: FulfilmentRules):
    """Where no event is too late, the end is the same as if all had come on time."""
    fold = FulfilmentFold(rules)

    def broken(log: list[Event]) -> list[str]:
        return compared(told(fold, log, until=FAR), told(fold, on_time(log), until=FAR), with_fates=False)

    assert holds(office.log, broken)


@FEW
@given(offices("in time"))
def test_a_repeated_event_changes_nothing(office: Office):
    def broken(log: list[Event]) -> list[str]:
        again = without(log, "cut_before", "quiet_before")
        twice = numbered(each for record, repeat in zip(log, again, strict=True) for each in (record, repeat))
        return compared(told(FOLD, twice, until=FAR), told(FOLD, log, until=FAR), with_fates=False)

    assert holds(office.log, broken)


@FEW
@given(offices(), st.sampled_from(("started again", "given away and taken back", "taken twice")))
def test_a_checkpoint_changes_nothing(office: Office, way: str):
    def between(state):
        kept = {at: {piece.name: through_arrow(piece.frame()) for piece in state.pieces(at)} for at in (0, 1)}
        if way == "started again":
            return FOLD.empty().restored(0, kept[0]).restored(1, kept[1])
        return state.without(1).restored(1, kept[1]) if way == "given away and taken back" else state.restored(0, kept[0])

    def broken(log: list[Event]) -> list[str]:
        return compared(told(FOLD, log, until=FAR, between=between), told(FOLD, log, until=FAR))

    assert holds(office.log, broken)


@FEW
@given(offices())
def test_every_record_has_one_fate_and_it_is_the_oracles(office: Office):
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

    assert holds(office.log, broken)


@FEW
@given(offices())
@example(Office(seed=48744, documents=3))
def test_what_is_told_again_is_what_was_told(office: Office):
    """Of all that was said of a partition, the state still says what the views show of it, and nothing else."""
    steps = told(FOLD, office.log)
    for partition in (0, 1):
        said: dict[str, list[pl.DataFrame]] = {}
        for step in steps:
            for name, rows in step.tables.items():
                said.setdefault(name, []).append(rows.filter(pl.col("partition") == partition))
        unique = {
            name: pl.concat(frames).unique(frames_key(name), keep="last", maintain_order=True) for name, frames in said.items()
        }
        again = FOLD.told_again(steps[-1].state, partition, unique)
        for name, rows in unique.items():
            shown = counted({name: rows})[name].filter(pl.col("is_deleted") == 0).sort(frames_key(name))
            if name == AT_RISK.name:  # who is no longer at risk is told over once; risk and time of the others go on
                here = again.get(name, shown.clear())["entity_id"].sort().to_list()
                assert here == shown.filter(is_over=0)["entity_id"].sort().to_list()
                continue
            # A table of which nothing is left need not be there.
            assert again.get(name, shown.clear()).sort(frames_key(name)).equals(shown), name


def frames_key(name: str) -> list[str]:
    return list(SAID[name].key)


def on_time(log: list[Event]) -> list[Event]:
    """The same events, each arriving as it happens, all in one batch."""
    return placed((record["event_at"], record) for record in without(log, "cut_before"))
