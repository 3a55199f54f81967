"""Dashboard: Ebbtide itself, by the metrics of its workers. Limits are those of `deploy/prometheus/alerts.yml`."""

from sinks.boards.panel import Asked, Board, Panel, tile

_HERE = '{instance=~"$instance"}'

WORKER = Board(
    "ebbtide-worker",
    "Ebbtide: the workers",
    "Whether the workers keep up, lose nothing, and what they cannot use. deploy/RUNBOOK.md says what to do about each alert.",
    (
        tile(
            "Workers that answer",
            (Asked('count(up{job="ebbtide"} == 1) or vector(0)', "workers"),),
            "Processes whose /metrics Prometheus can read.",
            unit="none",
            width=4,
        ),
        tile(
            "Records behind",
            (Asked(f"sum(ebbtide_lag_records{_HERE})", "records"),),
            "Offsets between what was read and the end of the logs, of all stages.",
            limits=((100_000, "red"),),
            width=4,
        ),
        tile(
            "Records in no account",
            (Asked(f"sum(abs(ebbtide_unaccounted_records{_HERE}))", "records"),),
            "Read, and neither applied, duplicate, rejected nor too late: anything but 0 is a defect.",
            unit="none",
            limits=((1, "red"),),
            width=4,
        ),
        tile(
            "Partitions not taken over",
            (Asked(f"sum(ebbtide_partitions_assigned{_HERE} - ebbtide_partitions_taken_over{_HERE})", "partitions"),),
            "The group gave them to a worker that does not work on them yet.",
            unit="none",
            limits=((1, "red"),),
            width=4,
        ),
        tile(
            "Oldest row that waits for ClickHouse",
            (Asked(f"max(ebbtide_sink_backlog_age_seconds{_HERE})", "oldest"),),
            "How long it has waited.",
            unit="s",
            limits=((60, "orange"), (300, "red")),
            width=4,
        ),
        tile(
            "Rows refused, a day",
            (Asked(f"sum(increase(ebbtide_refused_rows_total{_HERE}[1d]))", "rows"),),
            "Rows that ClickHouse will never take: dead letters.",
            limits=((1, "orange"),),
            width=4,
        ),
        Panel(
            "Records read",
            "timeseries",
            (Asked(f"sum by (topic) (rate(ebbtide_records_total{_HERE}[$__rate_interval]))", "{{topic}}"),),
            "By topic.",
            unit="cps",
        ),
        Panel(
            "What became of them",
            "timeseries",
            (
                Asked(f"sum by (fate) (rate(ebbtide_records_total{_HERE}[$__rate_interval]))", "{{fate}}"),
                Asked(f"sum(rate(ebbtide_late_records_total{_HERE}[$__rate_interval]))", "late, of the applied"),
            ),
            "Every record is exactly one of applied, duplicate, rejected, too late; passed: the stage behind says it.",
            unit="cps",
        ),
        Panel(
            "Lag",
            "timeseries",
            (Asked(f"sum by (stage, topic) (ebbtide_lag_records{_HERE})", "{{stage}}: {{topic}}"),),
            "Offsets between the position and the end of the log.",
        ),
        Panel(
            "How far time is behind",
            "timeseries",
            (Asked(f"max by (stage, topic) (ebbtide_watermark_delay_seconds{_HERE})", "{{stage}}: {{topic}}"),),
            "Wall clock less watermark: what depends on silence is told that much later. Below 0 a clock that stamps records is ahead.",
            unit="s",
            limits=((900, "red"),),
        ),
        Panel(
            "Duration of a step",
            "timeseries",
            (
                Asked(
                    f"histogram_quantile(0.5, sum by (stage, le) (rate(ebbtide_step_seconds_bucket{_HERE}[$__rate_interval])))",
                    "{{stage}}, half",
                ),
                Asked(
                    f"histogram_quantile(0.99, sum by (stage, le) (rate(ebbtide_step_seconds_bucket{_HERE}[$__rate_interval])))",
                    "{{stage}}, 99 of 100",
                ),
            ),
            "Decode, fold and emit.",
            unit="s",
        ),
        Panel(
            "Records of a step",
            "timeseries",
            (
                Asked(
                    f"histogram_quantile(0.5, sum by (stage, le) (rate(ebbtide_batch_records_bucket{_HERE}[$__rate_interval])))",
                    "{{stage}}",
                ),
            ),
            "Median, of steps that had any.",
        ),
        Panel(
            "Checkpoints",
            "timeseries",
            (
                Asked(
                    f"histogram_quantile(0.9, sum by (stage, le) (rate(ebbtide_checkpoint_seconds_bucket{_HERE}[$__rate_interval])))",
                    "{{stage}}, duration of 9 in 10",
                ),
                Asked(f"max by (stage) (ebbtide_checkpoint_age_seconds{_HERE})", "{{stage}}, age"),
            ),
            "How long one takes, and how long ago the last was: after a crash so much is done again.",
            unit="s",
            limits=((120, "red"),),
        ),
        Panel(
            "Since the loop last turned",
            "timeseries",
            (
                Asked(f"max by (stage) (ebbtide_tick_age_seconds{_HERE})", "{{stage}}"),
                Asked(f"max by (stage) (ebbtide_log_end_age_seconds{_HERE})", "{{stage}}, broker's word"),
            ),
            "A stage that stands still waits for the broker or the registry, or is stuck; broker's word: since it last said where a log ends.",
            unit="s",
            limits=((120, "red"),),
        ),
        Panel(
            "Dead letters",
            "timeseries",
            (
                Asked(
                    f"sum by (topic, reason) (increase(ebbtide_dead_letters_total{_HERE}[$__rate_interval]))",
                    "{{topic}}: {{reason}}",
                ),
            ),
            "Records that could not be used. `ebbtide dead-letters list` shows them.",
            is_stacked=True,
        ),
        Panel(
            "Rows said and written",
            "timeseries",
            (Asked(f"sum by (stage, table) (rate(ebbtide_rows_total{_HERE}[$__rate_interval]))", "{{stage}}: {{table}}"),),
            "Rows that the folds say, and that the stage `sinks` hands to ClickHouse.",
            unit="cps",
        ),
        Panel(
            "What waits for ClickHouse",
            "timeseries",
            (
                Asked(f"sum by (instance) (ebbtide_sink_backlog_bytes{_HERE})", "{{instance}}"),
                Asked(f"max(ebbtide_sink_buffer_bytes{_HERE})", "room of a worker"),
            ),
            "Above its room a worker reads no more rows; detection goes on.",
            unit="bytes",
        ),
        Panel(
            "Rows that wait for ClickHouse",
            "timeseries",
            (Asked(f"sum by (instance) (ebbtide_sink_backlog_rows{_HERE})", "{{instance}}"),),
            "They are written in the order of each table.",
        ),
        Panel(
            "Memory of the state",
            "timeseries",
            (
                Asked(f"sum by (stage) (ebbtide_state_bytes{_HERE})", "{{stage}}, state"),
                Asked(f"sum by (stage) (ebbtide_inbox_bytes{_HERE})", "{{stage}}, inbox"),
            ),
            "What the folds remember, and what waits for them.",
            unit="bytes",
        ),
        Panel(
            "Open entities",
            "timeseries",
            (Asked(f"sum by (stage) (ebbtide_open_entities{_HERE})", "{{stage}}"),),
            "Sessions and cases that have not ended.",
        ),
        Panel(
            "Batches that were ignored",
            "timeseries",
            (
                Asked(
                    f"sum(increase(ebbtide_fenced_batches_total{_HERE}[$__rate_interval]))",
                    "of a worker that had lost the partition",
                ),
                Asked(f"sum(increase(ebbtide_unreadable_messages_total{_HERE}[$__rate_interval]))", "of somebody else"),
            ),
            "Some after a takeover are usual; messages of somebody else on our rows topic are not.",
        ),
        Panel(
            "Who is told of alerts",
            "timeseries",
            (
                Asked(f"sum by (channel) (ebbtide_alerts_waiting{_HERE})", "{{channel}}, waiting"),
                Asked(
                    f"sum by (channel, result) (increase(ebbtide_alert_messages_total{_HERE}[$__rate_interval]))",
                    "{{channel}}, {{result}}",
                ),
                Asked(f"sum(increase(ebbtide_alerts_given_up_total{_HERE}[$__rate_interval]))", "given up"),
            ),
            "Alerts that a channel has not been told of yet, and messages by what became of them.",
        ),
        Panel(
            "Channels that take nothing",
            "timeseries",
            (
                Asked(f"max by (channel) (ebbtide_alert_channel_unreached_seconds{_HERE})", "{{channel}}, tried in vain for"),
                Asked(
                    f"max by (channel) (ebbtide_alert_channel_success_age_seconds{_HERE})", "{{channel}}, since it took something"
                ),
            ),
            "A channel that is tried in vain is broken; one that has long taken nothing may only have had nothing to take.",
            unit="s",
            limits=((900, "red"),),
        ),
        Panel(
            "Alerts that are open",
            "timeseries",
            (Asked(f"sum(ebbtide_alerts_open{_HERE})", "alerts"),),
            "Of those that these workers tell of. What they are about stands on the dashboard of silent abandonment.",
        ),
        Panel(
            "Versions",
            "table",
            (Asked(f"ebbtide_build_info{_HERE}", ""),),
            "What runs where, and the prefix of its topics.",
            width=24,
            height=5,
        ),
    ),
    since="now-6h",
)
