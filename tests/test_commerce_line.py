"""Orders and deliveries through intake to the fold by order: every golden scenario comes out as if the fold had been given its events by hand."""

import polars as pl
import pytest

from agents.arrow_batches import Batch
from pipeline.events import event_schema
from pipeline.frames import FATE_NAMES, TABLES
from pipeline.fulfilment import FulfilmentFold
from tests import intake_line
from tests.builders import clock
from tests.intake_line import TOPICS, Line
from tests.test_scenarios import STORIES, events_of, rules_of, shown

FAMILIES = ("order", "delivery")
TITLES = [scenario["story"][:60] for scenario in STORIES]
ELSEWHERE = "elsewhere"
"""A site whose events show that time has come so far, in every source."""


@pytest.fixture(autouse=True)
def _one_partition(monkeypatch):
    """A parcel that does not know its order is then where its order is: nobody forwards yet."""
    monkeypatch.setitem(intake_line.INTERNAL, "commerce", 1)


def log_of(scenario):
    """Family and event, in order of arrival, and one of each family when all is over."""
    told = [
        (event["family"], {name: event[name] for name in event_schema(event["family"]) if name in event})
        for event in events_of(scenario)
    ]
    end = {"site": ELSEWHERE, "event_at": clock(scenario["until"])}
    last_order = {**end, "event_id": "end-o", "event_type": "order_changed", "order_id": "end"}
    last_parcel = {**end, "event_id": "end-d", "event_type": "info_received", "order_id": "end", "delivery_id": "end"}
    return [*told, ("order", last_order), ("delivery", last_parcel)]


def folded(scenario, *, at_once):
    line = Line()
    intakes = {family: line.intake(family) for family in FAMILIES}
    fold = line.fold(*FAMILIES, fold=FulfilmentFold(rules_of(scenario)))
    for family, event in log_of(scenario):
        line.send(family, event)
        if not at_once:
            intakes[family].read()
            fold.read()
    for each in intakes.values():
        each.read()
    return line, fold.read()


def view(line):
    """The newest row of every id, without what is deleted and what happened elsewhere."""
    said = {}
    for record in line.log.partitions["rows", 0]:
        batch = Batch(record.value)
        if batch.about.table in TABLES:
            said.setdefault(batch.about.table, []).append(pl.DataFrame(pl.from_arrow(batch.rows())))
    return {
        table: pl.concat(rows)
        .sort("version", maintain_order=True)
        .unique(list(TABLES[table].key), keep="last", maintain_order=True)
        .filter(pl.col("is_deleted") == 0, pl.col("site") != ELSEWHERE)
        .drop("version")
        .sort(TABLES[table].key)
        .to_dicts()
        for table, rows in said.items()
    }


@pytest.mark.parametrize("number", range(len(STORIES)), ids=TITLES)
def test_a_story_comes_out_as_if_the_fold_had_been_given_it_by_hand(number):
    scenario = STORIES[number]
    line, fold = folded(scenario, at_once=number % 4 == 0)

    by_hand = {table: rows for table, rows in shown(scenario, "whole").items() if rows}
    through = {table: rows for table, rows in view(line).items() if rows}
    assert through.keys() == by_hand.keys()
    for table, rows in by_hand.items():
        key = TABLES[table].key
        assert through[table] == sorted(
            ({name: row[name] for name in through[table][0]} for row in rows), key=lambda row: [row[name] for name in key]
        )
    counted = {topic: sum(fates.get(fate, 0) for fate in FATE_NAMES) for (topic, _), fates in fold.folding.origins.items()}
    assert counted == {TOPICS[family]: sum(of == family for of, _ in log_of(scenario)) for family in FAMILIES}
