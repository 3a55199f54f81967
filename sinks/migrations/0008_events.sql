CREATE TABLE IF NOT EXISTS events
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `family` LowCardinality(String) COMMENT 'clickstream, order, delivery, ticket',
    `event_id` String COMMENT 'event',
    `event_type` LowCardinality(String) COMMENT 'type',
    `event_at` DateTime64(3, 'UTC') COMMENT 'when it happened [UTC]',
    `visitor_id` String COMMENT 'browser or device, before login',
    `session_id` String COMMENT 'as the emitter gave it',
    `customer_id` String COMMENT 'known person',
    `order_id` String COMMENT 'order',
    `ticket_id` String COMMENT 'ticket',
    `journey` LowCardinality(String) COMMENT 'journey of its step',
    `step` LowCardinality(String) COMMENT 'step it belongs to',
    `page` String COMMENT 'page',
    `detail` String COMMENT 'one line of what it said',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, family, event_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'one applied event of any family';
