"""People of a simulated shop: what the fold by person says once it has heard of all that the folds by visitor and by order said, and of every ticket."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import polars as pl

from pipeline.events import event_schema
from pipeline.expectations import EXPECTATIONS
from pipeline.journeys import JourneysFold
from pipeline.journeys_rules import JourneysRules
from pipeline.keys import contact_keys, person_links
from pipeline.passed import LINK, TYPES, heard
from pipeline.person_log import FACTS
from pipeline.simulator.simulator import Simulated
from tests.builders import watermarks
from tests.views import now

Tables = Mapping[str, pl.DataFrame]

COLUMNS = heard("ticket", LINK, TYPES, *FACTS)
WINDOWS = {each.name: (each.silence, each.recovery) for each in EXPECTATIONS} | {
    "order_after_commit": (timedelta(hours=24), timedelta(days=7))
}
VISITOR, ORDER = "visitor", "order"


def people(told: Simulated, sessions: Tables, commerce: Tables, rules: JourneysRules, until: datetime) -> dict[str, pl.DataFrame]:
    """What its tables show when time has come to `until`."""
    fold = JourneysFold(rules)
    state, reached = fold.empty(), watermarks({0: None})
    batch = _laid(_facts(told, sessions, commerce))
    steps = []
    while batch.height:
        steps.append(fold.step(state, batch, reached))
        state = steps[-1].state
        batch = _laid(
            [each.rows.drop("partition").with_columns(family=pl.lit(each.table)) for each in steps[-1].passed], len(steps)
        )
    steps.append(fold.step(state, batch, watermarks({0: until})))
    assert not steps[-1].passed, "time alone sends nothing on"
    assert sum(step.rejects.height for step in steps) == 0, "nothing that is simulated is too late to be applied"
    return now(steps)


def _laid(frames: list[pl.DataFrame], n_steps: int = 0) -> pl.DataFrame:
    """These rows as a fold is given them. Frames: with `family` -> heard"""
    rows = pl.concat([pl.DataFrame(schema=COLUMNS).clear(), *frames], how="diagonal_relaxed")
    beside = {"partition": pl.lit(0), "offset": pl.int_range(pl.len()), "version": pl.lit(n_steps), "watermark": pl.lit(None)}
    origin = {"origin_topic": pl.lit("tickets"), "origin_partition": pl.lit(0), "origin_offset": pl.int_range(pl.len())}
    rows = rows.with_columns(**beside, **origin, is_forwarded=pl.lit(n_steps > 0))
    return rows.select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items())


def _facts(told: Simulated, sessions: Tables, commerce: Tables) -> list[pl.DataFrame]:
    """Every record and link, at its own key."""
    visits = sessions["sessions"].filter(pl.col("is_bot") == 0)
    carts = visits.select("site", "visitor_id", "session_id", "cart_id")
    placed = (
        told.orders.filter(pl.col("event_type").cast(pl.String) == "order_placed")
        .group_by("site", "order_id")
        .agg(pl.col("event_at").min().alias("placed_at"), pl.col("cart_id").drop_nulls().first())
    )
    of_visits = sessions["outcomes"].join(carts, on=["site", "visitor_id", "session_id"], how="left")
    return [
        _fact("visit", visits, VISITOR),
        _fact("case", commerce["cases"].join(placed, on=["site", "order_id"], how="left"), ORDER),
        _fact("lapse", _with_windows(of_visits), VISITOR),
        _fact("lapse", _with_windows(commerce["outcomes"]), ORDER),
        _fact("signal", sessions["signals"], VISITOR),
        _fact("signal", commerce["signals"], ORDER),
        told.tickets.select(*event_schema("ticket").names(), contact_keys(told.tickets).alias("key"), family=pl.lit("ticket")),
        *_links(told, sessions),
    ]


def _fact(kind: str, rows: pl.DataFrame, key: str) -> pl.DataFrame:
    known = [name for name in FACTS[kind] if name in rows.columns]
    said = rows.select(known).with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)))
    return said.with_columns(pl.concat_str(pl.lit(f"{key}:"), f"{key}_id").alias("key"), family=pl.lit(kind))


def _with_windows(lapses: pl.DataFrame) -> pl.DataFrame:
    def span(which: int) -> pl.Expr:
        spans = {name: windows[which] for name, windows in WINDOWS.items()}
        return pl.col("expectation").replace_strict(spans, return_dtype=pl.Duration("ms"))

    return lapses.with_columns(
        (pl.col("lapsed_at") + span(0)).alias("silent_at"), (pl.col("lapsed_at") + span(1)).alias("recovers_until")
    )


def _links(told: Simulated, sessions: Tables) -> list[pl.DataFrame]:
    clicks = sessions["identities"].select(
        "site",
        pl.concat_str("visitor_id", "customer_id", pl.col("linked_at").to_physical()).alias("event_id"),
        pl.col("linked_at").alias("event_at"),
        pl.concat_str(pl.lit("visitor:"), "visitor_id").alias("key"),
        pl.concat_str(pl.lit("customer:"), "customer_id").alias("belongs_to"),
        pl.lit("clickstream").alias("told_by"),
    )
    partition = pl.lit(0, pl.Int32).alias("partition")
    others = [
        person_links(events.with_columns(partition), family).drop("partition")
        for family, events in (("order", told.orders), ("ticket", told.tickets))
    ]
    return [links.with_columns(family=pl.lit(LINK)) for links in (clicks, *others)]
