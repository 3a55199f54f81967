CREATE TABLE IF NOT EXISTS identities
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `visitor_id` String COMMENT 'browser or device, before login',
    `linked_at` DateTime64(3, 'UTC') COMMENT 'when the visitor identified [UTC]',
    `customer_id` String COMMENT 'known person',
    `source` LowCardinality(String) COMMENT 'event family that told',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, visitor_id, linked_at)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'a visitor known to be a customer';
