"""All there is to say of some cases at a time: rows of every table, and when something about them changes by itself.

The same function looks at what was remembered before a step and after it; what differs is what the step has to say.

Frames:  CaseLog, SEEN -> Told
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline import case_rows, lapse_rows
from pipeline.case_journeys import reached
from pipeline.case_log import CaseLog
from pipeline.case_map import CaseMap
from pipeline.case_signals import JOURNEY_OF, fired
from pipeline.cases_at_risk import CasesAtRisk, Met, at_risk
from pipeline.frames import TIME
from pipeline.friction import friction_score
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.groups import NEVER, Groups, Millis, Places
from pipeline.hashing import also128, hash128, hexed
from pipeline.waits import kept_until, unmet, waits

TOLD = ("cases", "deliveries", "steps", "signals", "outcomes")


@dataclass(frozen=True)
class Told:
    """What there is to say of some cases."""

    tables: dict[str, pl.DataFrame]
    """Table of TOLD -> its rows: some columns of frames.TABLES, and `partition`."""
    who: pl.DataFrame
    """Whose each case is, in the order of its log."""
    begun: pl.DataFrame
    """Its waits that count: WAITS, and `is_lapsed`."""
    of_signals: Places
    """The case of each row of `signals`."""
    next_ms: Millis
    """Of each case in the order of its log the first time at or after now beyond which it changes by itself; NEVER: it does not."""
    is_open: pl.Series
    at_risk: CasesAtRisk


def told(log: CaseLog, seen: pl.DataFrame, rules: FulfilmentRules) -> Told:
    """Say everything. Frames: SEEN of the partitions."""
    who = case_rows.people(log)
    steps = reached(log, rules.journeys.steps)
    found = fired(log, rules.signals)
    found = found.with_columns(_signal_ids(log, found))
    begun = waits(log, rules)
    waiting = unmet(begun)
    over = lapse_rows.lapsed(log, waiting, seen, rules.expectations, rules.seen_within)
    n_signals = Groups(found["case"].to_numpy(), log.n).count(np.ones(found.height, dtype=bool))
    document = case_rows.cases(log, who, steps, n_signals, rules)
    tables = {
        "cases": document,
        "deliveries": case_rows.deliveries(log, who, rules),
        "steps": _steps(who, steps, found, rules.journeys),
        "signals": _signals(log, who, found, rules.journeys),
        "outcomes": lapse_rows.outcomes(log, who, over, rules),
    }
    is_open = pl.Series(np.zeros(log.n, dtype=bool)).scatter(
        np.flatnonzero(case_rows.is_document(log)), (document["status"] == "open")
    )
    risk = at_risk(log, Met(who, waiting, over, found, seen), rules)
    counted = lapse_rows.counted(log, begun, over)
    return Told(tables, who, counted, found["case"].to_numpy(), np.minimum(_next(log, waiting, rules), risk.next_ms), is_open, risk)


def _next(log: CaseLog, waiting: pl.DataFrame, rules: FulfilmentRules) -> Millis:
    """The first time at or after now beyond which each case changes by itself."""
    every = np.arange(log.n)
    case = waiting["case"].to_numpy()
    orphan, given_up_ms = case_rows.unlinked_ms(log, rules)
    following = np.full(log.n, NEVER, dtype=np.int64)
    for whose, ms in (
        (case, waiting["lapsed_ms"].to_numpy()),
        (case, waiting["silent_ms"].to_numpy()),
        (every, kept_until(log, rules, every, case_rows.promised_ms(log))),
        (orphan, given_up_ms),
    ):
        is_ahead = ms >= log.now_ms[whose]
        np.minimum.at(following, whose[is_ahead], ms[is_ahead])
    return following


def _signal_ids(log: CaseLog, found: pl.DataFrame) -> pl.Series:
    rows = found["row"]
    site = log.known["site"].gather(found["case"])
    key = pl.select(pl.coalesce(log.known["order_id"].gather(found["case"]), log.events["delivery_id"].gather(rows))).to_series()
    event = hexed(*(log.events[name].gather(rows).to_numpy() for name in ("event_key", "event_low")))
    if found.is_empty():
        return pl.Series("signal_id", [], pl.String)
    return hexed(*also128(hash128(site, found["signal"], key), event)).alias("signal_id")


def _steps(who: pl.DataFrame, steps: pl.DataFrame, found: pl.DataFrame, journeys: CaseMap) -> pl.DataFrame:
    met = (
        found.select("case", "weight", *_placed(journeys)[:2])
        .group_by("case", "journey", "step")
        .agg(pl.len().cast(pl.UInt32).alias("n_signals"), pl.col("weight").sum().alias("points"))
    )
    of_case = who[steps["case"]].select("partition", "site", "order_id", "visitor_id", "customer_id", "account_id", "session_id")
    rows = steps.hstack(of_case).join(met, on=["case", "journey", "step"], how="left")
    return rows.filter(pl.col("order_id").is_not_null()).select(
        "partition",
        "site",
        pl.lit("case").alias("instance"),
        pl.col("order_id").alias("instance_id"),
        "journey",
        "step",
        "step_index",
        pl.col("is_commit").cast(pl.UInt8),
        pl.col("is_goal").cast(pl.UInt8),
        "owner",
        pl.col("first_ms").cast(TIME).alias("first_at"),
        pl.col("last_ms").cast(TIME).alias("last_at"),
        "n_events",
        pl.lit(0, dtype=pl.Int64).alias("engaged_ms"),
        pl.col("n_signals").fill_null(0),
        friction_score(pl.col("points").fill_null(0.0)).alias("friction_score"),
        "session_id",
        "visitor_id",
        "customer_id",
        "account_id",
    )


def _placed(journeys: CaseMap) -> tuple[pl.Expr, ...]:
    """Journey, step and owner of each signal."""
    steps = {name: journeys.step(*place) for name, place in JOURNEY_OF.items()}
    return tuple(
        pl.col("signal")
        .replace_strict({name: getattr(step, what) for name, step in steps.items()}, return_dtype=pl.String)
        .alias(column)
        for column, what in (("journey", "journey"), ("step", "name"), ("owner", "owner"))
    )


def _signals(log: CaseLog, who: pl.DataFrame, found: pl.DataFrame, journeys: CaseMap) -> pl.DataFrame:
    of_case = who[found["case"]].select(
        "partition", "site", "order_id", "visitor_id", "customer_id", "account_id", "session_id", "country"
    )
    return found.select(
        "signal",
        "signal_id",
        pl.Series("fired_at", log.ms[found["row"].to_numpy()], pl.Int64).cast(TIME),
        *_placed(journeys),
        "value",
        "weight",
        pl.lit("default").alias("rule"),
        "detail",
    ).hstack(of_case)
