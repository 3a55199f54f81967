"""Rows of ClickHouse from what there is to say of sessions.

Frames:  Told -> frames.SESSIONS, STEPS, SIGNALS, OUTCOMES, IDENTITIES, each with `partition`
"""

import polars as pl

from pipeline import frames
from pipeline.attribution import ORDER_AFTER_COMMIT
from pipeline.friction import friction_score
from pipeline.hashing import hex128, hexed
from pipeline.journey_map import JourneyMap, step_places, step_table
from pipeline.session_rules import SessionRules
from pipeline.session_views import Told

_LABELS = ("device", "browser", "os", "country", "app_version", "acquisition_channel")


def sessions(sessions: pl.DataFrame, rules: SessionRules) -> pl.DataFrame:
    """One row each of these sessions. Frames: of Told -> SESSIONS."""
    return _with_journey(sessions, rules.journeys).select(
        "partition",
        pl.col("site").cast(pl.String),
        "visitor_id",
        pl.col("told_id").alias("session_id"),
        "customer_id",
        "account_id",
        "journey",
        _time("first_ms").alias("started_at"),
        _time("last_ms").alias("ended_at"),
        "n_events",
        "engaged_ms",
        "entry_page",
        "exit_page",
        "steps",
        pl.col("step").alias("furthest_step"),
        pl.col("furthest").cast(pl.Int64).alias("furthest_step_index"),
        "status",
        pl.when(pl.col("status") == "abandoned").then("step").otherwise(pl.lit("")).alias("abandoned_step"),
        "order_id",
        "cart_id",
        *(pl.col(name).cast(pl.String) for name in (*_LABELS, "campaign")),
        "is_bot",
        pl.col("amount_minor").alias("cart_value_minor"),
        pl.col("currency").cast(pl.String),
        "n_signals",
        friction_score(pl.col("points")).alias("friction_score"),
    )


def steps(steps: pl.DataFrame, told: Told, rules: SessionRules) -> pl.DataFrame:
    """One row a session, journey and step reached, of these steps. Frames: of Told -> STEPS."""
    places = step_places(rules.journeys, steps["journey_no"].to_numpy(), steps["step"].to_numpy())
    named = step_table(rules.journeys)[places]
    whose = told.sessions.select("partition", "site", "visitor_id", "told_id", "customer_id", "account_id")
    when = steps.select("first_ms", "last_ms", "n_events", "engaged_ms", "n_signals", "points")
    return (
        when.hstack(named)
        .hstack(whose[steps["group"].to_numpy()])
        .select(
            "partition",
            pl.col("site").cast(pl.String),
            pl.lit("session").alias("instance"),
            pl.concat_str("visitor_id", pl.lit("/"), "told_id").alias("instance_id"),
            "journey",
            pl.col("step_name").alias("step"),
            pl.col("step").cast(pl.UInt32).alias("step_index"),
            "is_commit",
            "is_goal",
            "owner",
            _time("first_ms").alias("first_at"),
            _time("last_ms").alias("last_at"),
            "n_events",
            "engaged_ms",
            "n_signals",
            friction_score(pl.col("points")).alias("friction_score"),
            pl.col("told_id").alias("session_id"),
            "visitor_id",
            "customer_id",
            "account_id",
        )
    )


def signals(told: Told, rules: SessionRules) -> pl.DataFrame:
    """One row a signal that fired. Frames: -> SIGNALS."""
    whose = ("site", "visitor_id", "told_id", "customer_id", "account_id", "order_id", *_LABELS)
    fired = told.fired.hstack(told.sessions.select(whose)[told.fired["group"].to_numpy()])
    event = hexed(fired["event_key"].to_numpy(), fired["event_low"].to_numpy())
    signal_id = hex128(fired["site"], fired["signal"], fired["visitor_id"], event).alias("signal_id")
    return (
        fired.with_columns(signal_id)
        .join(step_table(rules.journeys), on=["journey_no", "step"], how="left")
        .select(
            "partition",
            pl.col("site").cast(pl.String),
            pl.col("signal").cast(pl.String),
            "signal_id",
            _time("event_ms").alias("fired_at"),
            "visitor_id",
            pl.col("told_id").alias("session_id"),
            "customer_id",
            "account_id",
            "order_id",
            pl.when(pl.col("step").is_not_null()).then("journey").alias("journey"),
            pl.col("step_name").alias("step"),
            "page",
            "element",
            _owner(rules),
            "value",
            "weight",
            "rule",
            "detail",
            *(pl.col(name).cast(pl.String) for name in _LABELS),
        )
    )


def _owner(rules: SessionRules) -> pl.Expr:
    """Who answers for a signal: the team that owns its step, unless the user says another of his own."""
    owner = pl.col("owner")
    for signal in rules.signals:
        if signal.own is not None and signal.own.owner:
            owner = pl.when(pl.col("signal") == signal.name).then(pl.lit(signal.own.owner)).otherwise(owner)
    return owner.alias("owner")


def outcomes(told: Told, rules: SessionRules) -> pl.DataFrame:
    """One row an abandoned session. Frames: -> OUTCOMES and facts.BESIDE."""
    abandoned = _with_journey(told.sessions.filter((pl.col("status") == "abandoned") & ~pl.col("is_bot")), rules.journeys).join(
        told.commits.select("group", "journey_no", "ms", "high", "low"), on=["group", "journey_no"], how="inner"
    )
    site = abandoned["site"].cast(pl.String)
    event = hexed(abandoned["high"].to_numpy(), abandoned["low"].to_numpy())
    expectation = pl.Series([ORDER_AFTER_COMMIT], dtype=pl.String).new_from_index(0, abandoned.height)
    due = (pl.col("last_ms").cast(frames.TIME) + pl.lit(rules.gap)).cast(frames.TIME)
    return abandoned.select(
        "partition",
        pl.col("site").cast(pl.String),
        expectation.alias("expectation"),
        hex128(site, expectation, abandoned["visitor_id"], event).alias("outcome_id"),
        "journey",
        "step",
        "owner",
        "visitor_id",
        pl.col("told_id").alias("session_id"),
        "order_id",
        "customer_id",
        "account_id",
        _time("ms").alias("began_at"),
        due.alias("due_at"),
        due.alias("lapsed_at"),
        pl.lit("provisional").alias("status"),
        pl.col("amount_minor").alias("value_minor"),
        pl.col("currency").cast(pl.String),
        *(pl.col(name).cast(pl.String) for name in _LABELS if name != "os"),
        "cart_id",
        (due + pl.lit(rules.silence)).cast(frames.TIME).alias("silent_at"),
        (due + pl.lit(rules.recovery)).cast(frames.TIME).alias("recovers_until"),
    )


def identities(told: Told) -> pl.DataFrame:
    """One row a session with a customer. Frames: -> IDENTITIES."""
    known = told.sessions.filter(pl.col("linked_ms").is_not_null() & ~pl.col("is_bot")).sort("linked_ms", "customer_id")
    return known.select(
        "partition",
        pl.col("site").cast(pl.String),
        "visitor_id",
        _time("linked_ms").alias("linked_at"),
        "customer_id",
        pl.lit("clickstream").alias("source"),
    ).unique(["site", "visitor_id", "linked_at"], keep="first", maintain_order=True)


def _time(name: str) -> pl.Expr:
    return pl.col(name).cast(frames.TIME)


def _with_journey(sessions: pl.DataFrame, journeys: JourneyMap) -> pl.DataFrame:
    """The sessions with `journey`, `step` (the furthest), its `owner`, and `steps` by name."""
    masks = sessions.select("journey_no", "mask").unique()
    names = [
        [] if no is None else [step.name for place, step in enumerate(journeys.journeys[no].steps) if mask >> place & 1]
        for no, mask in masks.iter_rows()
    ]
    named = masks.with_columns(pl.Series("steps", names, frames.STRINGS))
    table = step_table(journeys).rename({"step": "furthest", "step_name": "step"})
    return sessions.join(named, on=["journey_no", "mask"], how="left", nulls_equal=True, maintain_order="left").join(
        table, on=["journey_no", "furthest"], how="left", maintain_order="left"
    )
