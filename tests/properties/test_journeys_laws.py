"""The fold by person: what the oracle shows, and the five laws, over topics of one partition and of several."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import compress
from random import Random

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from agents.settling import taken_back
from pipeline.facts import SAID, SENT
from pipeline.frames import TABLES
from pipeline.journeys import JourneysFold
from pipeline.journeys_rules import JourneysRules
from pipeline.passed import Passed
from pipeline.person_state import IDS, PersonState
from tests import journeys_oracle, people_oracle
from tests.builders import Event
from tests.people_strategies import FAR, FEW, OTHER_RULES, RULES, Town, on_time, reached, towns
from tests.people_topic import PeopleTopic, told_people
from tests.properties.test_recovery import through_arrow
from tests.strategies import holds, numbered, without
from tests.views import differences

FOLD = JourneysFold(RULES)
PIECE = 6
WHOSE = ("customer_id", "visitor_id", "account_id", "order_id", "ticket_id")
SCHEMAS = {name: TABLES[name].schema for name in journeys_oracle.TABLES}


@FEW
@given(towns(), st.sampled_from((RULES, RULES, OTHER_RULES)), st.sampled_from((2, 50_000)))
def test_the_fold_shows_what_the_oracle_shows_at_any_time(town: Town, rules: JourneysRules, at_once: int):
    """At the end of the log, when much is undecided, and long after; and every event of a ticket has the oracle's fate."""

    def broken(log: list[Event]) -> list[str]:
        line = told_people(JourneysFold(rules, at_once=at_once), log, town.n_partitions)
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


@FEW
@given(towns().filter(lambda town: town.households < 24))
@example(Town(seed=12, households=10))
def test_who_takes_over_says_again_all_that_the_state_says_whichever_rows_the_dead_one_said_last(town: Town):
    """A few rows at a time, for what one of them does not name another might."""

    def broken(log: list[Event]) -> list[str]:
        line = told_people(FOLD, log, town.n_partitions)
        return [
            each
            for name in sorted({*line.said} & {*JourneysFold.tables, SENT.name})
            for partition, few in pieces(last_said(line, name), town.seed)
            for each in lost(line.state, partition, name, few)
        ]

    assert holds(town.log, broken)


def last_said(line: PeopleTopic, name: str) -> pl.DataFrame:
    """The newest row of each id, and the partition that said it; less signals that name nobody, for these are found by the answer that is said with them."""
    rows = pl.concat(line.said[name]).sort("version").unique(SAID[name].key, keep="last", maintain_order=True).drop("version")
    if name == "rollups":  # one of nothing may be taken back as well
        return rows.filter(pl.col("n") != 0)
    return rows.filter(pl.any_horizontal(pl.col(column) != "" for column in WHOSE)) if name == "signals" else rows


def pieces(rows: pl.DataFrame, seed: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """Some rows of one partition, and of that again, chosen at random."""
    for (partition,), its in rows.group_by("partition", maintain_order=True):
        mixed = its.drop("partition").sample(fraction=1, shuffle=True, seed=seed)
        yield from ((int(partition), few) for few in mixed.head(4 * PIECE).iter_slices(PIECE))


def lost(state: PersonState, partition: int, name: str, rows: pl.DataFrame) -> list[str]:
    """What is not said, or sent, again as it was, but for the last digits of numbers."""
    said = {name: rows}
    again = FOLD.told_again(state, partition, said)
    rounded = pl.col(pl.Float64).round(9)
    stood = rows.filter(pl.col("is_deleted") == 0).with_columns(rounded)
    now = again.get(name, rows.clear()).select(rows.columns).with_columns(rounded)
    wrong = []
    for some, others, what in ((stood, now, "not said again"), (now, stood, "said without reason")):
        wrong += [f"{name} {what}: {row}" for row in some.join(others, on=some.columns, how="anti", nulls_equal=True).rows()]
    if name == SENT.name:
        sent = {way for each in FOLD.passed_again(state, partition, said, taken_back(said, again)) for way in ways(each)}
        to = stood.select("kind", "site", "id", "further_id", "sent_to").rows()
        wrong += [f"{name} not sent again: {way}" for way in to if way not in sent]
    return wrong


def ways(passed: Passed) -> list[tuple[str | None, ...]]:
    """What was sent where: kind, site, ids, key; less what tells that a record is another's."""
    site, *ids = IDS[passed.table]
    rows = passed.rows.filter(~passed.rows["is_gone"].fill_null(value=False) if "is_gone" in passed.rows.columns else True)
    further = ids[1] if len(ids) > 1 else pl.lit("")
    return rows.select(pl.lit(passed.table).alias("kind"), site, ids[0], further, "key").rows()


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
