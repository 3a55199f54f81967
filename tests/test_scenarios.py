"""Golden scenarios (tests/scenarios): a story in, exact rows out, however its events are cut and whoever goes on in the middle."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.calendars import Calendar, Calendars
from pipeline.frames import TABLES, TIME
from pipeline.fulfilment import FulfilmentFold
from tests import fulfilment_oracle
from tests.builders import Event, clock
from tests.commerce_strategies import RULES
from tests.counts_oracle import over_partitions
from tests.properties.test_recovery import through_arrow
from tests.strategies import placed
from tests.views import now, told

FOLDER = Path(__file__).parent / "scenarios"
STORIES = [scenario for path in sorted(FOLDER.glob("*.toml")) for scenario in tomllib.loads(path.read_text())["scenario"]]
DAYS = replace(RULES, promise_by="day", calendars=Calendars(default=Calendar("Europe/Berlin")))
ORDER = {"outcomes": "lapsed_at", "signals": "fired_at", "steps": "step_index", "cases": "order_id", "deliveries": "delivery_id"}
"""Table -> what its rows are told by."""
WAYS = ("whole", "in pieces")
"""In pieces: event by event, restored from a checkpoint after each, in another partition."""


def events_of(scenario: dict[str, Any]) -> list[Event]:
    """The log that a scenario means."""
    arriving = []
    for number, said in enumerate(scenario["events"]):
        fields = {name: clock(value) if name.endswith("_at") else value for name, value in said.items()}
        at, arrives = clock(fields.pop("at")), fields.pop("arrives", None)
        family = "order" if "order" in fields else "delivery"
        named = {"order_id": "1001"} if family == "order" else {"delivery_id": "p1"}
        event = {"site": "shop", "partition": 0, "family": family, "event_type": fields.pop(family), **named, **fields}
        event |= {"event_id": f"e{number}", "event_at": at, "story": "1"}
        arriving.append((at if arrives is None else clock(arrives), event))
    return placed(arriving)


def rules_of(scenario: dict[str, Any]):
    return DAYS if scenario.get("promise_by") == "day" else RULES


def shown(scenario: dict[str, Any], way: str) -> dict[str, list[Event]]:
    """What the views show in the end."""
    fold, log, until = FulfilmentFold(rules_of(scenario)), events_of(scenario), clock(scenario["until"])
    if way == "in pieces":
        log = [{**record, "partition": 5, "cut_before": True} for record in log]

    def between(state):
        if way == "whole":
            return state
        return fold.empty().restored(5, {piece.name: through_arrow(piece.frame()) for piece in state.pieces(5)})

    view = now(told(fold, log, until=until, between=between))
    if "rollups" in view:
        view["rollups"] = over_partitions(view["rollups"])
    return {name: frame.to_dicts() for name, frame in view.items()}


def written(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row of a scenario as the table has it: '' where a time or a number is absent."""
    schema = TABLES[table].schema
    return {
        name: (None if value == "" else clock(value))
        if schema[name] == TIME
        else None
        if value == "" and name == "late_ms"
        else value
        for name, value in row.items()
    }


def ordered(table: str, rows: list[Event]) -> list[Event]:
    """Rows in the order in which a person would tell them."""
    return sorted(rows, key=lambda row: (row[ORDER[table]], row["site"], str(row.get("expectation", ""))))


def by_id(table: str, rows: list[Event]) -> dict[tuple[Any, ...], Event]:
    """Rows by what they are found by."""
    return {tuple(row[part] for part in TABLES[table].key): row for row in rows}


def test_there_are_scenarios_enough():
    assert len(STORIES) >= 25
    assert len({scenario["story"] for scenario in STORIES}) == len(STORIES)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scenario", STORIES, ids=[scenario["story"][:60] for scenario in STORIES])
def test_a_story_is_told_as_it_is_written(scenario: dict[str, Any], way: str):
    view = shown(scenario, way)
    wanted = {"signals": [], **{name: rows for name, rows in scenario.items() if name in ORDER}}
    for table, expected in wanted.items():
        rows = ordered(table, view.get(table, []))
        assert len(rows) == len(expected), f"{table}: {rows}"
        for row, right in zip(rows, expected, strict=True):
            right = written(table, right)  # noqa: PLW2901 - as the table has it
            assert {name: row[name] for name in right} == right
    told_by_oracle = fulfilment_oracle.tables(events_of(scenario), rules_of(scenario), {0: clock(scenario["until"])})
    for table, expected in told_by_oracle.items():
        assert by_id(table, view.get(table, [])) == by_id(table, expected), table
