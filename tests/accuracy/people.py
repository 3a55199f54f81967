"""A simulated shop through all folds, to the one by person: it hears the facts that the others tell, every ticket, and whose everything is."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl

from pipeline.events import event_schema
from pipeline.fold import Step
from pipeline.journeys import JourneysFold
from pipeline.journeys_rules import JourneysRules
from pipeline.keys import contact_keys, person_links
from pipeline.passed import LINK, PEOPLE, TYPES, heard
from pipeline.person_log import FACTS
from pipeline.session_rules import SessionRules
from pipeline.simulator.simulator import Simulated
from tests.builders import watermarks
from tests.commerce_strategies import RULES
from tests.simulated_shop import commerce_steps, session_steps
from tests.views import now

COLUMNS = heard("ticket", LINK, TYPES, *FACTS)


def people(told: Simulated, rules: JourneysRules, until: datetime) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """The visits as they were told of last, and what the tables of people show when time has come to `until`."""
    of_clicks = session_steps(told, SessionRules(tells_people=True))
    of_orders = commerce_steps(told, replace(RULES, tells_people=True))
    first = [*_tickets(told), *_passed(of_clicks), *_passed(of_orders)]
    fold = JourneysFold(rules)
    state, reached = fold.empty(), watermarks({0: None})
    batch = _laid(first, is_forwarded=False)
    steps = []
    while batch.height:
        steps.append(fold.step(state, batch, reached))
        state = steps[-1].state
        batch = _laid(_passed(steps[-1:], after=len(first) + len(steps)), is_forwarded=True)
    steps.append(fold.step(state, batch, watermarks({0: until})))
    assert not _passed(steps[-1:]), "time alone sends nothing on"
    assert sum(step.rejects.height for step in steps) == 0, "nothing that is simulated is too late to be applied"
    visits = pl.concat([rows for rows in _passed(of_clicks) if rows["family"].first() == "visit"])
    return visits.unique(["site", "visitor_id", "session_id"], keep="last", maintain_order=True), now(steps)


def _tickets(told: Simulated) -> list[pl.DataFrame]:
    """As intake sends them, and what orders and tickets know of whose they are."""
    events = told.tickets.select(*event_schema("ticket").names(), contact_keys(told.tickets).alias("key"), "record_at")
    origin = {"origin_topic": pl.lit("tickets"), "origin_partition": pl.lit(0, pl.Int32)}
    tickets = events.with_columns(**origin, origin_offset=pl.int_range(pl.len(), dtype=pl.Int64), family=pl.lit("ticket"))
    partition = pl.lit(0, pl.Int32).alias("partition")
    links = [
        person_links(events.with_columns(partition), family).drop("partition")
        for family, events in (("order", told.orders), ("ticket", told.tickets))
    ]
    return [frame.with_columns(version=pl.lit(0, pl.Int64)) for frame in (tickets, *(_named(each, LINK) for each in links))]


def _passed(steps: Sequence[Step[Any]], after: int = 0) -> list[pl.DataFrame]:
    """What these steps send to people, each under the version of its step."""
    return [
        _named(each.rows.drop("partition"), each.table).with_columns(version=pl.lit(after + place, pl.Int64))
        for place, step in enumerate(steps)
        for each in step.passed
        if each.to == PEOPLE
    ]


def _named(rows: pl.DataFrame, family: str) -> pl.DataFrame:
    return rows.with_columns(family=pl.lit(family))


def _laid(frames: Iterable[pl.DataFrame], *, is_forwarded: bool) -> pl.DataFrame:
    """These rows as a fold is given them. Frames: -> heard"""
    rows = pl.concat([pl.DataFrame(schema=COLUMNS), *frames], how="diagonal_relaxed")
    beside = {"partition": pl.lit(0), "offset": pl.int_range(pl.len()), "watermark": pl.lit(None)}
    rows = rows.with_columns(**beside, is_forwarded=pl.lit(is_forwarded))
    return rows.select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items())
