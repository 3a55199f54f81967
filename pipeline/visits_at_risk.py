"""Visits that may be slipping away: which of them to tell, with what they met, and that it is over.

Frames:  Told -> rows of risk_tables.AT_RISK, with `partition`
Time:    as far as the watermark has come; a visit is told when it is sent, and when its band is another one, which time alone can bring about
Cases:   no step from the commit step on, or a bot -> never at risk | bought -> met | ended without -> lapsed | no session of that id any more -> ended
         seen only when it was over -> never told
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline import frames
from pipeline.attribution import ORDER_AFTER_COMMIT
from pipeline.groups import NEVER, Mask, Millis, Places, rows_or_none
from pipeline.journey_map import step_places, step_table
from pipeline.risk import ENDED, LAPSED, LESS_LIKELY, MET, NOT_TOLD, BandNumbers, Risks
from pipeline.risk_tables import AT_RISK
from pipeline.session_rules import SessionRules
from pipeline.session_views import Told
from pipeline.watermark import milliseconds, of_partitions


@dataclass(frozen=True)
class VisitsAtRisk:
    """How likely each of some sessions is to be left."""

    risk: Risks
    band: BandNumbers
    rises_ms: Millis


def at_risk(told: Told, now_ms: Millis, rules: SessionRules) -> VisitsAtRisk:
    """Of each session, when time has come so far."""
    sessions = told.sessions
    n, journeys = sessions.height, rules.journeys.journeys
    found = VisitsAtRisk(np.zeros(n), np.zeros(n, dtype=np.uint8), np.full(n, NEVER, dtype=np.int64))
    if not rules.risk_bands.enabled:
        return found
    commit, goal = (np.array([getattr(journey, name) for journey in journeys]) for name in ("commit_index", "goal_index"))
    here = np.flatnonzero(
        sessions.select((pl.col("status") == "open") & ~pl.col("is_bot") & pl.col("furthest").is_not_null()).to_series().to_numpy()
    )
    journey_no, furthest = (sessions[name].to_numpy()[here].astype(np.int64) for name in ("journey_no", "furthest"))
    is_committed = furthest >= commit[journey_no]
    here, journey_no, furthest = here[is_committed], journey_no[is_committed], furthest[is_committed]
    if not len(here):
        return found
    begins, whole = commit[journey_no], np.maximum(goal - commit, 1)[journey_no]
    way = np.clip((furthest - begins) / whole, 0.0, 1.0)
    points, last_ms = (sessions[name].to_numpy()[here] for name in ("points", "last_ms"))
    lateness_ms = milliseconds(rules.allowed_lateness)
    stretch = rules.risk.stretch(np.maximum(now_ms[here], last_ms - lateness_ms) + lateness_ms - last_ms)
    risk = rules.risk.risk(way, points, stretch)
    rises_ms = rules.risk.rises_ms(way, points, stretch, rules.risk_bands)
    found.risk[here], found.band[here] = risk, rules.risk_bands.of(risk)
    found.rises_ms[here] = np.where(rises_ms == NEVER, NEVER, np.where(rises_ms == NEVER, 0, rises_ms) + last_ms - lateness_ms)
    return found


@dataclass(frozen=True)
class Since:
    """What has become of some sessions since they were looked at last."""

    was: Places
    """Of each session its place among the old ones; -1: there was none of its id."""
    is_gone: Mask
    """Which of the old ones are no more."""
    sent: Mask
    """Which of the new ones are sent."""


def changes(
    old: Told, new: Told, since: Since, watermarks: pl.DataFrame, rules: SessionRules
) -> tuple[VisitsAtRisk, dict[str, pl.DataFrame]]:
    """How likely each session is to be left now, and what there is to say of it: table -> rows."""
    now_ms = of_partitions(watermarks, new.sessions["partition"].to_numpy())
    found = at_risk(new, now_ms, rules)
    was_told = _told_band(old.sessions)
    before = np.where(since.was >= 0, np.append(was_told, NOT_TOLD)[since.was], NOT_TOLD)
    is_told = (found.band != NOT_TOLD) & (since.sent | (found.band != before))
    is_over = (found.band == NOT_TOLD) & (before != NOT_TOLD)
    is_gone = since.is_gone & (was_told != NOT_TOLD)
    told = _chosen(new, is_told | is_over, found.risk, now_ms, is_over)
    if is_gone.any():
        gone_ms = of_partitions(watermarks, old.sessions["partition"].to_numpy())
        told = pl.concat([told, _chosen(old, is_gone, np.zeros(len(is_gone)), gone_ms, is_gone, is_gone=True)])
    return found, {AT_RISK.name: _rows(told, _reasons(new, is_told), rules)} if told.height else {}


def again(told: Told, rules: SessionRules) -> pl.DataFrame:
    """Those that were told as at risk, as they are now, at a time at which they are in the band that was told."""
    sessions = told.sessions
    rises_ms = sessions["rises_ms"].fill_null(NEVER).to_numpy()
    longest_ms = rules.risk.silent_ms.max(initial=0) + 1
    now_ms = np.where(
        rises_ms == NEVER, sessions["last_ms"].to_numpy() + longest_ms - milliseconds(rules.allowed_lateness), rises_ms
    )
    is_told = _told_band(sessions) != NOT_TOLD
    at_risk_now = _chosen(told, is_told, at_risk(told, now_ms, rules).risk, now_ms, np.zeros(len(is_told), dtype=bool))
    return _rows(at_risk_now, _reasons(told, is_told), rules)


def _told_band(sessions: pl.DataFrame) -> BandNumbers:
    return sessions["at_risk"].fill_null(NOT_TOLD).to_numpy()


_SAID = ("group", "partition", "site", "visitor_id", "told_id", "order_id", "customer_id", "account_id", "journey_no", "furthest", "amount_minor", "currency", "last_ms", "status", "is_bot")  # fmt: skip


def _chosen(told: Told, chosen: Mask, risk: Risks, now_ms: Millis, is_over: Mask, *, is_gone: bool = False) -> pl.DataFrame:
    """Of these sessions those that are chosen, with what is said of them; `is_gone`: there are no sessions of their ids any more."""
    places = np.flatnonzero(chosen)
    return told.sessions.select(_SAID)[places].with_columns(
        pl.Series("risk", risk[places]),
        pl.Series("now_ms", now_ms[places]),
        pl.Series("is_over", is_over[places].astype(np.uint8)),
        pl.lit(int(is_gone), dtype=pl.UInt8).alias("is_deleted"),
    )


_WHY = {"converted": MET, "abandoned": LAPSED, "open": LESS_LIKELY}


def _reasons(told: Told, chosen: Mask) -> pl.DataFrame:
    """What each of these met, once each, the heaviest first: `group`, `met`."""
    fired = told.fired.filter(pl.Series(chosen[told.fired["group"].to_numpy()], dtype=pl.Boolean))
    if fired.is_empty():
        return _NOTHING_MET
    summed = fired.group_by("group", pl.col("signal").cast(pl.String)).agg(pl.col("weight").sum())
    ordered = summed.sort("group", "weight", "signal", descending=[False, True, False])
    return ordered.group_by("group", maintain_order=True).agg(pl.col("signal").alias("met"))


_NOTHING_MET = pl.DataFrame(schema={"group": pl.Int64, "met": frames.STRINGS})


def _rows(sessions: pl.DataFrame, met: pl.DataFrame, rules: SessionRules) -> pl.DataFrame:
    """Frames: of `_chosen`, of `_reasons` -> rows of AT_RISK."""
    journey_no, furthest = (sessions[name].fill_null(-1).to_numpy().astype(np.int64) for name in ("journey_no", "furthest"))
    places = step_places(rules.journeys, journey_no, furthest)
    steps = step_table(rules.journeys)[rows_or_none(np.where(furthest < 0, -1, places))]
    why = pl.col("status").replace_strict(_WHY, default=ENDED, return_dtype=pl.String)
    why = pl.when((pl.col("is_deleted") == 1) | pl.col("is_bot")).then(pl.lit(ENDED)).otherwise(why)
    if met.height:
        reasons = pl.when(pl.col("is_over") == 1).then(pl.concat_list(why)).otherwise("met")
        sessions = sessions.join(met, on="group", how="left", maintain_order="left")
    else:
        reasons = pl.when(pl.col("is_over") == 1).then(pl.concat_list(why)).otherwise(pl.lit([], dtype=frames.STRINGS))
    return sessions.hstack([steps["journey"], steps["step_name"], steps["owner"]]).select(
        "partition",
        pl.col("site").cast(pl.String),
        pl.lit("session").alias("kind"),
        pl.concat_str("visitor_id", pl.lit("/"), "told_id").alias("entity_id"),
        "visitor_id",
        pl.col("told_id").alias("session_id"),
        "order_id",
        "customer_id",
        "account_id",
        "journey",
        pl.col("step_name").alias("step"),
        "owner",
        pl.when(pl.col("is_over") == 0).then("risk").otherwise(0.0).alias("risk"),
        reasons.alias("reasons"),
        pl.lit(ORDER_AFTER_COMMIT).alias("expectation"),
        (pl.col("last_ms") + milliseconds(rules.gap)).cast(frames.TIME).alias("would_lapse_at"),
        pl.col("amount_minor").alias("value_minor"),
        pl.col("currency").cast(pl.String),
        pl.col("now_ms").cast(frames.TIME).alias("updated_at"),
        "is_over",
        "is_deleted",
    )
