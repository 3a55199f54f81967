-- Alerts: a spike each, from its opening to its resolution, as the stage of spikes tells it.

CREATE TABLE IF NOT EXISTS alerts
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `alert_id` String COMMENT 'hash of site, rule, segment and the interval it opened at',
    `rule` LowCardinality(String) COMMENT 'what rose: abandonment, silence, exits (from a step), friction (a signal), lapse (of an expectation); limit: segments that are not judged',
    `opened_at` DateTime64(3, 'UTC') COMMENT 'end of the interval that showed it [UTC]',
    `updated_at` DateTime64(3, 'UTC') COMMENT 'end of the newest interval judged [UTC]',
    `resolved_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'end of the interval from which on it was usual again; null: it is open [UTC]',
    `status` LowCardinality(String) COMMENT 'open, resolved',
    `severity` LowCardinality(String) COMMENT 'warning, critical',
    `journey` LowCardinality(String) COMMENT 'journey',
    `step` LowCardinality(String) COMMENT 'step; \'\': all of the journey',
    `expectation` LowCardinality(String) COMMENT 'expectation that lapses',
    `signal` LowCardinality(String) COMMENT 'signal that fires',
    `device` LowCardinality(String) COMMENT 'device; \'\': all',
    `country` LowCardinality(String) COMMENT 'country; \'\': all',
    `acquisition_channel` LowCardinality(String) COMMENT 'channel; \'\': all',
    `segment` String COMMENT 'the smallest set that explains it: step = payment and device = mobile',
    `owner` LowCardinality(String) COMMENT 'team that owns the step',
    `interval_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'start of the newest interval judged [UTC]',
    `interval_s` UInt32 COMMENT 'its length [s]',
    `rate` Nullable(Float64) COMMENT 'share in that interval: n of n_of [0 .. 1; signals a session]',
    `baseline_rate` Nullable(Float64) COMMENT 'what was to be expected then [as rate]',
    `n` Nullable(Int64) COMMENT 'how many, in that interval',
    `n_of` Nullable(Int64) COMMENT 'of how many',
    `n_expected` Nullable(Float64) COMMENT 'how many were to be expected',
    `p_value` Nullable(Float64) COMMENT 'how likely so many or more are, if nothing is wrong [0 .. 1]',
    `cause` LowCardinality(String) COMMENT 'signal whose share rose most; \'\': none did',
    `cause_share` Nullable(Float64) COMMENT 'share of sessions that met it [0 .. 1]',
    `value_minor` Nullable(Int64) COMMENT 'money at stake: lapses beyond what was expected, at the median value of those seen [minor units of currency]',
    `currency` LowCardinality(String) COMMENT 'currency [ISO 4217]',
    `examples` Array(String) COMMENT 'some of whom it happened to: visitor_id/session_id, order_id or ticket_id',
    `summary` String COMMENT 'one sentence',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, alert_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'one spike, from opening to resolution';

CREATE OR REPLACE VIEW alerts_now AS
SELECT * FROM alerts FINAL WHERE is_deleted = 0
SETTINGS use_skip_indexes_if_final_exact_mode = 1
COMMENT 'one spike, from opening to resolution: latest versions';
