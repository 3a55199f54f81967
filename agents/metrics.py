"""What the worker counts: names, labels and meanings. Alerts and dashboards are built on them: they are for ever."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True)
class Metric:
    """One thing that is counted or measured."""

    name: str
    """With its unit at the end; a counter ends in `_total`."""
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()


_STAGE, _PLACE, _CHANNEL = ("stage",), ("stage", "topic", "partition"), ("channel",)

BUILD = Metric("ebbtide_build_info", "gauge", "Always 1; version, and the prefix of our topics.", ("version", "prefix"))
RECORDS = Metric(
    "ebbtide_records_total", "counter", "Records read, by what became of them; passed: the stage behind says it.", (*_PLACE, "fate")
)
LATE = Metric("ebbtide_late_records_total", "counter", "Applied records that lay behind the watermark.", _PLACE)
ROWS = Metric("ebbtide_rows_total", "counter", "Rows said by a fold, or handed to ClickHouse by the sink.", ("stage", "table"))
DEAD_LETTERS = Metric(
    "ebbtide_dead_letters_total", "counter", "Records that could not be used, by reason.", (*_STAGE, "topic", "reason")
)
BATCH_RECORDS = Metric("ebbtide_batch_records", "histogram", "Records of a step that had any.", _STAGE)
STEP_SECONDS = Metric("ebbtide_step_seconds", "histogram", "Duration of a step: decode, fold, emit.", _STAGE)
CHECKPOINT_SECONDS = Metric("ebbtide_checkpoint_seconds", "histogram", "Duration of a checkpoint.", _STAGE)
CHECKPOINT_AGE = Metric(
    "ebbtide_checkpoint_age_seconds", "gauge", "Time since state was last kept; 0: nothing new is to be kept.", _STAGE
)
TICK_AGE = Metric("ebbtide_tick_age_seconds", "gauge", "Time since the stage's loop last turned.", _STAGE)
ASSIGNED = Metric("ebbtide_partitions_assigned", "gauge", "Partitions that the group says are this worker's.", _STAGE)
TAKEN_OVER = Metric("ebbtide_partitions_taken_over", "gauge", "Partitions that this worker works on.", _STAGE)
LAG = Metric("ebbtide_lag_records", "gauge", "Offsets between the position and the end of the log.", _PLACE)
LOG_END_AGE = Metric("ebbtide_log_end_age_seconds", "gauge", "Time since the broker last said where the log ends.", _PLACE)
WATERMARK_DELAY = Metric(
    "ebbtide_watermark_delay_seconds", "gauge", "Wall clock less watermark; below 0: a clock that stamps records is ahead.", _PLACE
)
UNACCOUNTED = Metric(
    "ebbtide_unaccounted_records", "gauge", "Offsets read that are in no account; anything but 0 is a defect.", _PLACE
)
OPEN = Metric("ebbtide_open_entities", "gauge", "Entities in the state that have not ended: sessions.", _STAGE)
STATE_BYTES = Metric("ebbtide_state_bytes", "gauge", "Memory of the state, about.", _STAGE)
INBOX_BYTES = Metric("ebbtide_inbox_bytes", "gauge", "Bytes that wait for the stage.", _STAGE)
SINK_ROWS = Metric("ebbtide_sink_backlog_rows", "gauge", "Rows that wait for ClickHouse in this process.")
SINK_BYTES = Metric("ebbtide_sink_backlog_bytes", "gauge", "Bytes that wait for ClickHouse in this process.")
SINK_LIMIT = Metric("ebbtide_sink_buffer_bytes", "gauge", "Bytes that may wait; above it the sink's partitions are paused.")
SINK_AGE = Metric("ebbtide_sink_backlog_age_seconds", "gauge", "How long the oldest row has waited for ClickHouse.")
REFUSED = Metric("ebbtide_refused_rows_total", "counter", "Rows that ClickHouse will never take: dead letters.", ("table",))
FENCED = Metric("ebbtide_fenced_batches_total", "counter", "Batches ignored, for who wrote them had lost the partition.")
UNREADABLE = Metric("ebbtide_unreadable_messages_total", "counter", "Messages on our rows topic that are none of ours.")

ALERTS_OPEN = Metric("ebbtide_alerts_open", "gauge", "Alerts that are open, of those this worker tells of.")
ALERTS_WAITING = Metric(
    "ebbtide_alerts_waiting",
    "gauge",
    "Alerts of which there is news that a channel has not been told; muted ones do not count.",
    _CHANNEL,
)
MESSAGES = Metric(
    "ebbtide_alert_messages_total",
    "counter",
    "What channels were told, heartbeats too: delivered, failed (tried again), refused (given up).",
    (*_CHANNEL, "result"),
)
UNREACHED = Metric(
    "ebbtide_alert_channel_unreached_seconds",
    "gauge",
    "How long a channel has taken nothing of what it was told; 0: it took the last.",
    _CHANNEL,
)
REACHED_AGE = Metric("ebbtide_alert_channel_success_age_seconds", "gauge", "Time since a channel last took something.", _CHANNEL)
GIVEN_UP = Metric("ebbtide_alerts_given_up_total", "counter", "Alerts that somebody was not told of, for there were too many.")

METRICS = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))
"""All of them."""
