CREATE TABLE IF NOT EXISTS dead_letters
(
    `site` LowCardinality(String) COMMENT 'always \'\': what cannot be read has no site',
    `cluster_id` LowCardinality(String) COMMENT 'broker\'s cluster, or replay',
    `topic` LowCardinality(String) COMMENT 'topic, or mapping or file of a replay',
    `partition` Int32 COMMENT 'partition',
    `offset` Int64 COMMENT 'offset, or row of a replay',
    `row` Int64 COMMENT 'row within a batch record; 0 for a single record',
    `received_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'record time of Kafka [UTC]',
    `family` LowCardinality(String) COMMENT 'event family',
    `stage` LowCardinality(String) COMMENT 'stage that rejected it',
    `reason` LowCardinality(String) COMMENT 'why',
    `detail` String COMMENT 'one line more',
    `schema_id` Nullable(Int32) COMMENT 'schema id; null where there is none',
    `key` String COMMENT 'key as it came, UTF-8 or hex',
    `payload` String COMMENT 'value as it came [bytes]',
    `replayed_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when it was sent again [UTC]',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, cluster_id, topic, `partition`, `offset`, `row`)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'one event that could not be used';
