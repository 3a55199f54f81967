"""Golden scenarios of people (tests/scenarios/people): stories across all families in, exact rows out, whole, and event by event by ever new workers on more partitions."""

from typing import Any

import pytest

from pipeline.frames import TABLES, TIME
from tests.builders import Event, clock
from tests.people_stories import STORIES, told

ORDER = {
    "outcomes": "lapsed_at",
    "contacts": "ticket_id",
    "answers": "answered_at",
    "customers": "customer_id",
    "signals": "fired_at",
    "identities": "linked_at",
}
"""Table -> what its rows are told by."""
WAYS = [pytest.param(way, marks=pytest.mark.xdist_group(f"stories of people, {way}")) for way in ("whole", "in pieces")]
"""One process tells all stories of a way, for it tells them at once."""
NUMBERS = range(len(STORIES))
IDS = [scenario["story"][:70] for scenario in STORIES]


def test_there_are_scenarios_enough():
    assert len(STORIES) >= 25
    assert len({scenario["story"] for scenario in STORIES}) == len(STORIES)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("number", NUMBERS, ids=IDS)
def test_a_story_of_people_is_told_as_it_is_written(number: int, way: str):
    shown = told(way)[number]
    wanted = {name: rows for name, rows in STORIES[number].items() if name in ORDER}
    for table, expected in wanted.items():
        rows = sorted(shown.view.get(table, []), key=lambda row: (row[ORDER[table]], str(row.get("expectation", ""))))
        assert len(rows) == len(expected), f"{table}: {rows}"
        for row, right in zip(rows, expected, strict=True):
            as_kept = written(table, right)
            assert {name: row[name] for name in as_kept} == as_kept
    for table, expected in shown.oracle.items():
        assert by_id(table, shown.view.get(table, [])) == by_id(table, expected), table


def written(table: str, row: dict[str, Any]) -> Event:
    """A row of a scenario as the table has it: '' where a time is absent."""
    schema = TABLES[table].schema
    return {name: (None if value == "" else clock(value)) if schema[name] == TIME else value for name, value in row.items()}


def by_id(table: str, rows: list[Event]) -> dict[tuple[Any, ...], Event]:
    """Rows by what they are found by."""
    return {tuple(row[part] for part in TABLES[table].key): row for row in rows}
