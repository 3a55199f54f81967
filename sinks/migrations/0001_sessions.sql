CREATE TABLE IF NOT EXISTS sessions
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `visitor_id` String COMMENT 'browser or device, before login',
    `session_id` String COMMENT 'the emitter\'s, else the ms of the first event; ~2.. another customer, ~r.. used again',
    `customer_id` String COMMENT 'known person',
    `account_id` String COMMENT 'company of a B2B customer',
    `journey` LowCardinality(String) COMMENT 'the journey that got furthest',
    `started_at` DateTime64(3, 'UTC') COMMENT 'first event [UTC]',
    `ended_at` DateTime64(3, 'UTC') COMMENT 'last event so far [UTC]',
    `n_events` UInt32 COMMENT 'events [events]',
    `engaged_ms` Nullable(Int64) COMMENT 'time in the foreground [ms]',
    `entry_page` String COMMENT 'page of the first event that has one',
    `exit_page` String COMMENT 'page of the last event that has one',
    `steps` Array(String) COMMENT 'steps reached of that journey, in its order',
    `furthest_step` LowCardinality(String) COMMENT 'the furthest of them',
    `furthest_step_index` Nullable(Int64) COMMENT 'its place in the journey from 0; null: no step',
    `status` LowCardinality(String) COMMENT 'open, browsed, abandoned, converted, merged',
    `abandoned_step` LowCardinality(String) COMMENT 'the furthest step of an abandoned session',
    `order_id` String COMMENT 'order placed in it (the last)',
    `cart_id` String COMMENT 'cart (the last)',
    `device` LowCardinality(String) COMMENT 'desktop, mobile, tablet, app, other',
    `browser` LowCardinality(String) COMMENT 'browser',
    `os` LowCardinality(String) COMMENT 'operating system',
    `country` LowCardinality(String) COMMENT 'country [ISO 3166-1 alpha-2]',
    `app_version` LowCardinality(String) COMMENT 'release of the shop\'s page or app',
    `acquisition_channel` LowCardinality(String) COMMENT 'where the visit came from',
    `campaign` LowCardinality(String) COMMENT 'campaign of the visit',
    `is_bot` UInt8 COMMENT '1: an event said that a bot made it [0 or 1]',
    `cart_value_minor` Nullable(Int64) COMMENT 'last known total of cart or order [minor units of currency]',
    `currency` LowCardinality(String) COMMENT 'currency of that total [ISO 4217]',
    `n_signals` UInt32 COMMENT 'friction signals that fired [signals]',
    `friction_score` Float64 COMMENT 'friction met: 0 none .. 100 [points]',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, visitor_id, session_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'a visit, as the clicks alone tell it';
