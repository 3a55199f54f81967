"""What is remembered of event ids is bounded by the horizon, however long the stream goes on."""

from datetime import timedelta

import polars as pl

from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from tests.builders import MONDAY, frame, view, watermarks

RULES = SessionRules()
A_STEP = timedelta(minutes=5)
EVENTS = 100
"""A step."""


def test_ids_of_a_stream_that_goes_on_for_hours_are_those_of_the_last_hour():
    fold = SessionsFold(RULES)
    state, reached, kept = fold.empty(), watermarks({0: None}), []
    one = frame([view(at=MONDAY, visitor_id="v", record_at=MONDAY, offset=0, partition=0)])
    batch = pl.concat([one] * EVENTS)
    for number in range(4 * 12):
        at = MONDAY + number * A_STEP
        names = pl.Series("event_id", [f"{number}-{place}" for place in range(EVENTS)])
        events = batch.with_columns(names, names.alias("visitor_id"), pl.lit(at).cast(batch["event_at"].dtype).alias("event_at"))
        step = fold.step(state, events.with_columns(pl.col("event_at").alias("record_at")), reached)
        state, reached = step.state, step.watermarks
        kept.append(len(state.ids))

    an_hour = EVENTS * (RULES.dedup_horizon + RULES.allowed_lateness) // A_STEP
    assert max(kept) <= 1.4 * an_hour, "what is forgotten goes with the next merge or sweep"
    assert min(kept[13:]) >= an_hour
    assert state.ids.n_bytes == 28 * len(state.ids)

    quiet = fold.step(state, batch.clear(), watermarks({0: MONDAY + timedelta(days=2)}))
    assert len(quiet.state.ids) == 0
