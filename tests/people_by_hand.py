"""Events of all four families through all folds in one process, without a broker: what the views show in the end."""

from dataclasses import replace

import polars as pl

from agents.replay import _Run
from agents.replayed_people import ReplayedPeople
from pipeline.fulfilment import FulfilmentFold
from pipeline.journeys import JourneysFold
from pipeline.sessions import SessionsFold
from tests.views import now


def by_hand(settings, events):
    """Table -> its view, if every fold is given everything at once, and the time it has reached then. `settings` read orders; `events` by family."""
    lying = _in_order_of_arrival(events)
    runs = [
        _Run(SessionsFold(replace(settings.session_rules(), tells_people=True))),
        _Run(FulfilmentFold(replace(settings.fulfilment_rules(), tells_people=True))),
    ]
    people = ReplayedPeople(JourneysFold(settings.journeys_rules()))
    first = [run.step(run.reads(lying)) for run in runs]
    assert "too_late" not in first[0].fates["fate"].to_list(), "in more partitions fewer clicks are too late"
    # With the rows of a step nothing is due yet: they come first.
    then = [run.elapse(run.reached) for run in runs]
    passed = [each for done in (*first, *then) for each in done.passed]
    joined = list(people.take(lying, passed, [run.reached for run in runs]))
    shown = [now([*steps]) for steps in (*zip(first, then, strict=True), joined)]
    tables: dict[str, list[pl.DataFrame]] = {}
    for view in shown:
        for name, rows in view.items():
            tables.setdefault(name, []).append(rows)
    return {name: pl.concat(frames) for name, frames in tables.items()}


def _in_order_of_arrival(events):
    """All of them with an offset, as if they lay in one partition."""
    arrived = pl.concat([rows.select("record_at", pl.lit(family).alias("family")) for family, rows in events.items()])
    placed = arrived.with_columns((pl.col("record_at").rank("ordinal") - 1).cast(pl.Int64).alias("offset"))
    return {
        family: rows.with_columns(
            pl.lit(0, pl.Int32).alias("partition"), placed.filter(pl.col("family") == family)["offset"].alias("offset")
        )
        for family, rows in events.items()
    }
