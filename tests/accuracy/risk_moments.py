"""A simulated shop, stopped at random moments: how likely each open visit and case is to slip away by what was known then, and what came of it.

What came of a visit says the simulator: left with something in the cart, or not. What came of a wait says the rest of the log, once all of it has been read; that lapses are just
those that the simulator decided on is another test (test_fulfilment_accuracy.py). One visit or case is seen at many moments, so rows are more than there are independent cases.
"""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl

from pipeline import case_signals
from pipeline.case_log import CaseLog
from pipeline.case_risk import MetOf, Waiting
from pipeline.case_views import Told
from pipeline.case_views import told as told_of_cases
from pipeline.cases_at_risk import WAIT, said_late
from pipeline.events import event_schema
from pipeline.frames import WATERMARKS
from pipeline.fulfilment import FulfilmentFold
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.fulfilment_state import FulfilmentState
from pipeline.risk import RiskBands
from pipeline.session_memory import taken
from pipeline.session_rules import SessionRules
from pipeline.session_state import SessionState
from pipeline.session_views import clustered, told
from pipeline.sessions import SessionsFold
from pipeline.simulator.simulator import Simulated
from pipeline.visits_at_risk import at_risk
from pipeline.waits import unmet, waits
from pipeline.watermark import milliseconds, of_partitions
from tests.commerce_strategies import RULES
from tests.simulated_shop import WHO, commerce

EVERYBODY = RiskBands(floor=0.0)
"""Who is at less risk than is told is judged as well."""
VISITS = SessionRules(risk_bands=EVERYBODY)
_NEVER_SENT = "notice_of_moved_date"
"""What no simulated carrier ever sends: where that is noticed (`auto`), nobody waits for it."""
CASES = replace(RULES, risk_bands=EVERYBODY, expectations=tuple(each for each in RULES.expectations if each.name != _NEVER_SENT))
NOBODY_YET = pl.DataFrame({"partition": [0], "watermark": [None]}, schema=WATERMARKS)
LONG = timedelta(days=90)


def visits(shop: Simulated, seed: int, n_moments: int, rules: SessionRules = VISITS) -> pl.DataFrame:
    """A row an open visit from the commit step on and moment: `risk`, `came` (it was left), `is_silent`, and the terms: `way`, `points`, `stretch`."""
    log = shop.events.select(
        *event_schema("clickstream").names(),
        pl.lit(0, pl.Int32).alias("partition"),
        pl.int_range(shop.events.height, dtype=pl.Int64).alias("offset"),
        "record_at",
    )
    fold, reached, found = SessionsFold(rules), NOBODY_YET, []
    state, begin = fold.empty(), 0
    for end in np.sort(np.random.default_rng(seed).choice(np.arange(1, log.height), n_moments, replace=False)).tolist():
        step = fold.step(state, log[begin:end], reached)
        state, reached, begin = step.state, step.watermarks, end
        found.append(_open_visits(state, reached, rules))
    people = shop.truth.filter(~pl.col("is_bot")).select(*WHO, "visit_id", "started_at", pl.col("left").alias("came"))
    seen = pl.concat(found).sort("at")
    known = seen.join_asof(people.sort("started_at"), left_on="at", right_on="started_at", by=WHO, check_sortedness=False)
    return known.drop_nulls("came").drop("at", "started_at")


def _open_visits(state: SessionState, reached: pl.DataFrame, rules: SessionRules) -> pl.DataFrame:
    whose = np.unique(
        np.concatenate([np.zeros(0, np.uint64), *state.parts.keys_where(lambda parts: ~parts["is_quiet"].to_numpy())])
    )
    before, _ = taken(state, whose)
    told_of = told(replace(before, parts=clustered(before.parts, rules)), rules, lambda parts: parts["is_quiet"].to_numpy())
    sessions = told_of.sessions
    now_ms = of_partitions(reached, sessions["partition"].to_numpy())
    likely = at_risk(told_of, now_ms, rules)
    silence_ms = now_ms + milliseconds(rules.allowed_lateness) - sessions["last_ms"].to_numpy()
    shop = rules.journeys.journeys[0]
    way = (sessions["furthest"].fill_null(0).to_numpy() - shop.commit_index) / (shop.goal_index - shop.commit_index)
    stretch = rules.risk.stretch(np.maximum(silence_ms, 0))
    return sessions.select(
        pl.col("site").cast(pl.String),
        "visitor_id",
        pl.col("last_ms").cast(pl.Datetime("ms", "UTC")).alias("at"),
        pl.Series("risk", likely.risk),
        pl.Series("way", way),
        "points",
        pl.Series("stretch", stretch),
        pl.Series("is_silent", stretch > 0),
        pl.Series("is_at_risk", likely.band > 0),
    ).filter("is_at_risk")


def cases(shop: Simulated, seed: int, n_moments: int, rules: FulfilmentRules = CASES) -> pl.DataFrame:
    """A row a wait that goes on and moment: `risk`, `came` (it lapsed), `is_told` (of all that its case waits for, what is told), `expectation`, and the terms: `share` of the
    wait that has gone by, `points`, `has_lapsed`, `is_said_late`."""
    log = commerce(shop)
    at_ms = log["record_at"].to_physical().to_numpy()
    drawn = np.sort(np.random.default_rng(seed).uniform(at_ms[0], at_ms[-1], n_moments))
    fold, reached, begin, found = FulfilmentFold(rules), NOBODY_YET, 0, []
    state = fold.empty()
    for end in np.unique(np.searchsorted(at_ms, drawn)).tolist():
        step = fold.step(state, log[begin:end], reached)
        state, reached, begin = step.state, step.watermarks, end
        found.append(_waiting(state, reached, rules))
    last = fold.step(state, log[begin:], reached)
    last = fold.step(last.state, log.clear(), last.watermarks.with_columns(pl.col("watermark") + LONG))
    lapsed = _told(last.state, last.watermarks, rules)[1].at_risk.lapsed.unique().with_columns(came=pl.lit(value=True))
    known = pl.concat(found).join(lapsed, on=list(WAIT), how="left")
    return known.with_columns(pl.col("came").fill_null(value=False))


def _told(state: FulfilmentState, reached: pl.DataFrame, rules: FulfilmentRules) -> tuple[CaseLog, Told]:
    known = state.cases.frame()
    log = CaseLog.of(known, state.events.frame(), of_partitions(reached, known["partition"].to_numpy()))
    return log, told_of_cases(log, state.seen.frame(), rules)


def _waiting(state: FulfilmentState, reached: pl.DataFrame, rules: FulfilmentRules) -> pl.DataFrame:
    log, told_of = _told(state, reached, rules)
    every = unmet(waits(log, rules))
    case = every["case"].to_numpy()
    is_document = log.known["order_id"].is_not_null().to_numpy()
    going = every.filter(pl.Series(is_document[case] & (log.now_ms[case] <= every["lapsed_ms"].to_numpy()), dtype=pl.Boolean))
    case, place = going["case"].to_numpy(), going["expectation"].to_numpy().astype(np.int64)
    fired = case_signals.fired(log, rules.signals)
    points = np.bincount(fired["case"].to_numpy(), fired["weight"].to_numpy(), minlength=log.n).astype(float)[case]
    case_key = log.known["case_key"].gather(going["case"])
    has_lapsed = case_key.is_in(told_of.at_risk.lapsed["case_key"].unique().to_list()).to_numpy()
    began_ms, due_ms = log.ms[going["last"].to_numpy()], going["lapsed_ms"].to_numpy()
    is_said_late = said_late(log, going, rules)
    begin = rules.risk.begin(rules.expectations, place, MetOf(points, has_lapsed, is_said_late))
    waiting = Waiting(begin, *rules.risk.slope(rules.expectations, place), began_ms, due_ms)
    told = told_of.at_risk.waits.with_columns(is_told=pl.lit(value=True))
    share = np.clip((log.now_ms[case] - began_ms) / np.maximum(due_ms - began_ms, 1), 0.0, 1.0)
    return (
        pl.DataFrame(
            {
                "case_key": case_key,
                "place": going["expectation"],
                "event_key": log.events["event_key"].gather(going["first"]),
                "expectation": pl.Series([each.name for each in rules.expectations]).gather(going["expectation"].cast(pl.UInt32)),
                "risk": waiting.risk(log.now_ms[case]),
                "share": share,
                "points": points,
                "has_lapsed": has_lapsed,
                "is_said_late": is_said_late,
            }
        )
        .join(told.unique(), on=list(WAIT), how="left")
        .with_columns(pl.col("is_told").fill_null(value=False))
    )
