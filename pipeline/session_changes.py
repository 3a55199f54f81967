"""What a step has to say: how sessions are told after it, where that differs from before.

Frames:  Told, Told -> rows of frames.TABLES with `is_deleted`
Cases:   an id that is no more -> its rows are deleted, the session's as `merged` | an open session that only goes on -> sent now and then
"""

from dataclasses import dataclass, replace

import polars as pl

from pipeline import frames, rollups, session_rows
from pipeline.rollups import Rollups
from pipeline.session_parts import PARTS
from pipeline.session_rules import SessionRules
from pipeline.session_views import Told
from pipeline.watermark import milliseconds


@dataclass(frozen=True)
class Said:
    """What a step says."""

    tables: dict[str, pl.DataFrame]
    """Table -> rows, with `is_deleted`."""
    sent: pl.DataFrame
    """`group` of the sessions (in the Told of after) that were sent."""
    rollups: Rollups
    """The counts after it."""


def said(old: Told, new: Told, counts: Rollups, rules: SessionRules, source: str) -> Said:
    """The rows that have something new to say."""
    sent = _worth_sending(old, new, rules)
    gone = old.sessions.join(new.ids, on=["visitor_key", "told_id"], how="anti").select("group")
    shown, hidden = _only(new, sent), _only(old, gone)
    # Not only of sessions that are gone: an earlier customer takes what belonged to nobody, and a step with it.
    step_key = list(frames.TABLES["steps"].key)
    lost_steps = session_rows.steps(old, rules).join(session_rows.steps(new, rules), on=step_key, how="anti")
    was, now = _facts(old, rules), _facts(new, rules)
    moved, changed = counts.moved(_contributed(old, was, rules), _contributed(new, now, rules))
    tables = {
        "sessions": _upserts(
            session_rows.sessions(shown, rules), session_rows.sessions(hidden, rules).with_columns(pl.lit("merged").alias("status"))
        ),
        "steps": _upserts(session_rows.steps(shown, rules), lost_steps),
        **{name: _changes(was[name], now[name], name) for name in now},
        "rollups": rollups.rows(changed, rules, source),
    }
    return Said(tables, sent, moved)


def marked(parts: pl.DataFrame, new: Told, sent: pl.DataFrame) -> pl.DataFrame:
    """The parts with what was told of their sessions: whether they have ended, and how far they had come when they were last sent."""
    told_of = new.sessions.select("group", pl.col("is_quiet").alias("told_quiet"), pl.col("last_ms").alias("told_ms"))
    marks = new.groups.join(told_of, on="group", how="left").join(
        sent.with_columns(pl.lit(value=True).alias("is_sent")), on="group", how="left"
    )
    return (
        parts.join(marks, on=["visitor_key", "part"], how="left", maintain_order="left")
        .with_columns(
            pl.col("told_quiet").alias("is_quiet"), pl.when("is_sent").then("told_ms").otherwise("sent_ms").alias("sent_ms")
        )
        .select(PARTS.names())
    )


def _facts(all_of: Told, rules: SessionRules) -> dict[str, pl.DataFrame]:
    """The rows that are compared one by one: there are few of them."""
    return {
        "signals": session_rows.signals(all_of, rules),
        "outcomes": session_rows.outcomes(all_of, rules),
        "identities": session_rows.identities(all_of),
    }


def _contributed(all_of: Told, facts: dict[str, pl.DataFrame], rules: SessionRules) -> pl.DataFrame:
    return rollups.contributions(all_of, facts["signals"], facts["outcomes"], rules)


def _only(all_of: Told, groups: pl.DataFrame) -> Told:
    return replace(
        all_of,
        sessions=all_of.sessions.join(groups, on="group", how="semi", maintain_order="left"),
        steps=all_of.steps.join(groups, on="group", how="semi", maintain_order="left"),
    )


def _worth_sending(old: Told, new: Told, rules: SessionRules) -> pl.DataFrame:
    """Sessions that are new, reached a step, were identified, changed their status or their friction, or have gone on for a while."""
    compared = ("status", "is_quiet", "journey_no", "places", "customer_id", "n_signals", "is_bot")
    was = old.sessions.select(
        "visitor_key",
        "told_id",
        pl.lit(value=True).alias("was_told"),
        pl.col("sent_ms").alias("was_ms"),
        pl.col("n_events").alias("was_n_events"),
        *(pl.col(name).alias(f"was_{name}") for name in compared),
    )
    joined = new.sessions.join(was, on=["visitor_key", "told_id"], how="left", maintain_order="left")
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"was_{name}")) for name in compared)
    went_on = pl.col("last_ms") >= pl.col("was_ms") + milliseconds(rules.send_every)
    is_corrected = pl.col("is_quiet") & (pl.col("n_events") != pl.col("was_n_events"))
    return joined.filter(pl.col("was_told").is_null() | differs | is_corrected | went_on.fill_null(value=True)).select("group")


def _upserts(rows: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(
        [
            rows.with_columns(pl.lit(0, dtype=pl.UInt8).alias("is_deleted")),
            gone.with_columns(pl.lit(1, dtype=pl.UInt8).alias("is_deleted")),
        ]
    ).drop("group")


def _changes(old: pl.DataFrame, new: pl.DataFrame, table: str) -> pl.DataFrame:
    """Rows that were not there before in every column, and those that are there no more, as deleted."""
    key = list(frames.TABLES[table].key)
    said, says = old.drop("group"), new.drop("group")
    changed = says.join(said, on=says.columns, how="anti", nulls_equal=True)
    gone = said.join(says, on=key, how="anti", nulls_equal=True)
    return pl.concat(
        [
            changed.with_columns(pl.lit(0, dtype=pl.UInt8).alias("is_deleted")),
            gone.with_columns(pl.lit(1, dtype=pl.UInt8).alias("is_deleted")),
        ]
    )
