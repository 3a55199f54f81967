CREATE TABLE IF NOT EXISTS steps
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `instance` LowCardinality(String) COMMENT 'session or case',
    `instance_id` String COMMENT 'visitor_id/session_id of a session, order_id of a case',
    `journey` LowCardinality(String) COMMENT 'journey',
    `step` LowCardinality(String) COMMENT 'step of that journey',
    `step_index` UInt32 COMMENT 'its place in the journey, from 0',
    `is_commit` UInt8 COMMENT '1: from here on a customer who goes quiet has abandoned [0 or 1]',
    `is_goal` UInt8 COMMENT '1: the journey\'s end [0 or 1]',
    `owner` LowCardinality(String) COMMENT 'team that owns the step',
    `first_at` DateTime64(3, 'UTC') COMMENT 'first event of the step [UTC]',
    `last_at` DateTime64(3, 'UTC') COMMENT 'last event of the step [UTC]',
    `n_events` UInt32 COMMENT 'events of the step [events]',
    `engaged_ms` Nullable(Int64) COMMENT 'time in the foreground [ms]',
    `session_id` String COMMENT 'session, where the instance is one',
    `visitor_id` String COMMENT 'browser or device, before login',
    `customer_id` String COMMENT 'known person',
    `account_id` String COMMENT 'company of a B2B customer',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, instance, instance_id, journey, step)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'one step of one session or case';
