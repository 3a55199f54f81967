"""The fold by person: what the oracle shows, and the five laws, over topics of one partition and of several."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import compress
from random import Random

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipeline.frames import TABLES
from pipeline.journeys import JourneysFold
from pipeline.journeys_rules import JourneysRules
from tests import journeys_oracle, people_oracle
from tests.builders import Event
from tests.people_strategies import FAR, FEW, OTHER_RULES, RULES, Town, on_time, reached, towns
from tests.people_topic import PeopleTopic, told_people
from tests.properties.test_recovery import through_arrow
from tests.strategies import holds, numbered, without
from tests.views import differences

FOLD = JourneysFold(RULES)
SCHEMAS = {name: TABLES[name].schema for name in journeys_oracle.TABLES}


@FEW
@given(towns(), st.sampled_from((RULES, RULES, OTHER_RULES)))
def test_the_fold_shows_what_the_oracle_shows_at_any_time(town: Town, rules: JourneysRules):
    """At the end of the log, when much is undecided, and long after; and every event of a ticket has the oracle's fate."""

    def broken(log: list[Event]) -> list[str]:
        line = told_people(JourneysFold(rules), log, town.n_partitions)
        by_then = unlike(line, journeys_oracle.tables(log, rules, reached(log)), log)
        decided = unlike(line.end(FAR), journeys_oracle.tables(log, rules, FAR), log)
        told, right = line.fates(), people_oracle.fates(log, rules)
        return (
            decided
            + [f"before the end: {line}" for line in by_then]
            + ([f"fates are {told}, not {right}"] if told != right else [])
        )

    assert holds(town.log, broken)


@FEW
@given(towns())
def test_what_is_sent_on_late_and_a_worker_that_goes_on_from_a_checkpoint_change_nothing(town: Town):
    def started_again(state):
        restored = FOLD.empty()
        for at in range(town.n_partitions):
            restored = restored.restored(at, {piece.name: through_arrow(piece.frame()) for piece in state.pieces(at)})
        return restored

    def broken(log: list[Event]) -> list[str]:
        line = told_people(FOLD, log, town.n_partitions, until=FAR, dice=Random(town.seed), between=started_again)
        return unlike(line, journeys_oracle.tables(log, RULES, FAR), log)

    assert holds(town.log, broken)


@FEW
@given(towns("not too late"))
def test_batches_the_order_of_arrival_repetition_and_the_number_of_partitions_change_nothing(town: Town):
    """Where no event is too late: all in one batch, as it happened, on two partitions; and each record twice as it came."""

    def broken(log: list[Event]) -> list[str]:
        right = journeys_oracle.tables(log, RULES, FAR)
        twice = numbered(each for record in log for each in (record, without([record], "cut_before")[0]))
        ways = {
            "as it happened": (on_time(without(log, "cut_before"), 2), 2),
            "twice": (twice, town.n_partitions),
        }
        return [
            f"{line} ({way})"
            for way, (some, n) in ways.items()
            for line in unlike(told_people(FOLD, some, n, until=FAR), right, log)
        ]

    assert holds(town.log, broken)


def unlike(line: PeopleTopic, right: Mapping[str, Sequence[Event]], log: Sequence[Event]) -> list[str]:
    """What a line shows and the other does not."""
    clicked = {(link["site"], link["key"], link["event_at"]) for link in log if link.get("told_by") == "clickstream"}
    return differences(
        {name: pl.DataFrame(rows, schema=SCHEMAS[name]) for name, rows in plain(shown(line), clicked).items()},
        plain(right, clicked),
    )


def shown(line: PeopleTopic) -> dict[str, list[Event]]:
    """As the oracle spells it."""
    return {name: rows.to_dicts() for name, rows in line.now().items() if name in SCHEMAS}


def plain(tables: Mapping[str, Sequence[Event]], clicked: Collection[tuple[str, str, datetime]]) -> dict[str, list[Event]]:
    """Less the last digits of numbers, and identities that the clicks tell as well: it hangs on who came first whether this fold has told them."""
    found = {
        name: [{cell: round(value, 9) if isinstance(value, float) else value for cell, value in row.items()} for row in rows]
        for name, rows in tables.items()
    }
    is_ours = [
        (row["site"], f"visitor:{row['visitor_id']}", row["linked_at"]) not in clicked for row in found.get("identities", [])
    ]
    return {name: rows if name != "identities" else list(compress(rows, is_ours)) for name, rows in found.items()}
