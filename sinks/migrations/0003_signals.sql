CREATE TABLE IF NOT EXISTS signals
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `signal` LowCardinality(String) COMMENT 'name of the signal',
    `signal_id` String COMMENT 'hash of site, signal, visitor and the event at which it fired',
    `fired_at` DateTime64(3, 'UTC') COMMENT 'when it fired [UTC]',
    `visitor_id` String COMMENT 'browser or device, before login',
    `session_id` String COMMENT 'session it fired in',
    `customer_id` String COMMENT 'known person',
    `account_id` String COMMENT 'company of a B2B customer',
    `order_id` String COMMENT 'order it is about',
    `ticket_id` String COMMENT 'ticket it is about',
    `journey` LowCardinality(String) COMMENT 'journey of the event',
    `step` LowCardinality(String) COMMENT 'step of the event, else the furthest step reached by then',
    `page` String COMMENT 'page',
    `element` String COMMENT 'element, form or field it happened on',
    `owner` LowCardinality(String) COMMENT 'team that owns the step',
    `value` Nullable(Float64) COMMENT 'how much, in the signal\'s own unit',
    `weight` Float64 COMMENT 'what it adds to a friction score [points]',
    `rule` LowCardinality(String) COMMENT 'profile of the rule that fired',
    `detail` String COMMENT 'one line of evidence',
    `device` LowCardinality(String) COMMENT 'desktop, mobile, tablet, app, other',
    `browser` LowCardinality(String) COMMENT 'browser',
    `os` LowCardinality(String) COMMENT 'operating system',
    `country` LowCardinality(String) COMMENT 'country [ISO 3166-1 alpha-2]',
    `app_version` LowCardinality(String) COMMENT 'release of the shop\'s page or app',
    `acquisition_channel` LowCardinality(String) COMMENT 'where the visit came from',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, signal, signal_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'one friction signal that fired';
