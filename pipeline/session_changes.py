"""What a step has to say: how sessions are told after it, where that differs from before.

Frames:  Told, Told -> rows of frames.TABLES with `is_deleted`
Cases:   an id that is no more -> its rows are deleted, the session's as `merged` | an open session that only goes on -> sent now and then
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline import frames, rollups, session_counts, session_rows, visits_at_risk
from pipeline.changed_rows import changed_rows
from pipeline.groups import rows_or_none
from pipeline.risk_tables import AT_RISK
from pipeline.rollups import Rollups
from pipeline.session_counts import Side
from pipeline.session_rules import SessionRules
from pipeline.session_views import Told
from pipeline.visits_at_risk import Since, VisitsAtRisk
from pipeline.watermark import milliseconds

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Said:
    """What a step says."""

    tables: dict[str, pl.DataFrame]
    """Table -> rows, with `is_deleted`."""
    was: dict[str, pl.DataFrame]
    """Of some tables the rows that there were before."""
    since: Since
    """What has become of the sessions, and which of them are sent."""
    rollups: Rollups
    """The counts after it."""


def said(old: Told, new: Told, counts: Rollups, rules: SessionRules, source: str) -> Said:
    """The rows that have something new to say."""
    was = _was(old, new)
    sent = _worth_sending(old, new, was, rules)
    is_gone = np.ones(old.sessions.height, dtype=bool)
    is_gone[was[was >= 0]] = False
    facts_then, facts_now = _facts(old, rules), _facts(new, rules)
    before, after = Side(-1, old, facts_then), Side(1, new, facts_now)
    change = session_counts.change(before, after, rules, counts.others(rules.cut))
    moved, changed = counts.cut_by(rules.cut, change).moved(change)
    gone = session_rows.sessions(old.sessions.filter(pl.Series(is_gone)), rules).with_columns(pl.lit("merged").alias("status"))
    tables = {
        "sessions": _upserts(session_rows.sessions(new.sessions.filter(pl.Series(sent)), rules), gone),
        "steps": _upserts(
            session_rows.steps(new.steps.filter(pl.Series(sent[new.steps["group"].to_numpy()])), new, rules),
            _lost_steps(old, new, was, is_gone, rules),
        ),
        **{name: changed_rows(facts_then[name], facts_now[name], frames.TABLES[name].key) for name in facts_now},
        "rollups": rollups.rows(changed, rules.interval, source),
    }
    return Said(tables, facts_then, Since(was, is_gone, sent), moved)


def every_row(all_of: Told, rules: SessionRules) -> dict[str, pl.DataFrame]:
    """All that there is to say of sessions: table -> rows."""
    return {
        "sessions": session_rows.sessions(all_of.sessions, rules),
        "steps": session_rows.steps(all_of.steps, all_of, rules),
        **_facts(all_of, rules),
        AT_RISK.name: visits_at_risk.again(all_of, rules),
    }


def marked(parts: pl.DataFrame, new: Told, sent: Mask, at_risk: VisitsAtRisk) -> pl.DataFrame:
    """The parts with what was told of their sessions: whether they have ended, how far they had come when they were last sent, and in which band of risk they are."""
    sessions, of_parts = new.sessions, pl.Series(new.groups)
    told_ms, is_sent = sessions["last_ms"].gather(of_parts), pl.Series(sent[new.groups])
    return parts.with_columns(
        sessions["is_quiet"].gather(of_parts),
        pl.when(is_sent).then(told_ms).otherwise("sent_ms").alias("sent_ms"),
        pl.Series("at_risk", at_risk.band[new.groups]),
        pl.Series("rises_ms", at_risk.rises_ms[new.groups]),
    )


def _was(old: Told, new: Told) -> NDArray[np.int64]:
    """Of each session its place among the old ones; -1: there was none of its id."""
    key = ["visitor_key", "told_id"]
    places = old.sessions.select(*key, pl.int_range(pl.len(), dtype=pl.Int64).alias("was"))
    found = new.sessions.select(key).join(places, on=key, how="left", maintain_order="left")
    return found["was"].fill_null(-1).to_numpy()


def _worth_sending(old: Told, new: Told, was: NDArray[np.int64], rules: SessionRules) -> Mask:
    """Sessions that are new, reached a step, were identified, changed their status or their friction, or have gone on for a while."""
    before = rows_or_none(was)
    then = {name: old.sessions[name].gather(before) for name in (*_COMPARED, "sent_ms", "n_events")}
    differs = pl.any_horizontal(pl.col(name).ne_missing(then[name]) for name in _COMPARED)
    went_on = pl.col("last_ms") >= then["sent_ms"] + milliseconds(rules.send_every)
    is_corrected = pl.col("is_quiet") & (pl.col("n_events") != then["n_events"])
    worth = new.sessions.select(pl.Series(was < 0) | differs | is_corrected | went_on.fill_null(value=True))
    return worth.to_series().fill_null(value=False).to_numpy()


_COMPARED = ("status", "is_quiet", "journey_no", "places", "customer_id", "friction", "is_bot")


def _lost_steps(old: Told, new: Told, was: NDArray[np.int64], is_gone: Mask, rules: SessionRules) -> pl.DataFrame:
    """Steps of sessions that are gone, or that had them no more after a step: an earlier customer takes what belonged to nobody, and a step with it."""
    now = np.zeros_like(old.masks)
    now[:, was[was >= 0]] = new.masks[:, was >= 0]
    group, journey_no, step = (old.steps[name].to_numpy() for name in ("group", "journey_no", "step"))
    has_it = (now[journey_no, group] >> step.astype(np.uint64) & np.uint64(1)).astype(bool)
    return session_rows.steps(old.steps.filter(pl.Series(is_gone[group] | ~has_it)), old, rules)


def _facts(all_of: Told, rules: SessionRules) -> dict[str, pl.DataFrame]:
    """The rows that are compared one by one: there are few of them."""
    return {
        "signals": session_rows.signals(all_of, rules),
        "outcomes": session_rows.outcomes(all_of, rules),
        "identities": session_rows.identities(all_of),
    }


def _upserts(rows: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(
        [
            rows.with_columns(pl.lit(0, dtype=pl.UInt8).alias("is_deleted")),
            gone.with_columns(pl.lit(1, dtype=pl.UInt8).alias("is_deleted")),
        ]
    )
