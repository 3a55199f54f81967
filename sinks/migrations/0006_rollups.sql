CREATE TABLE IF NOT EXISTS rollups
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `interval_at` DateTime64(3, 'UTC') COMMENT 'start of the interval in which the step was reached or the wait began [UTC]',
    `interval_s` UInt32 COMMENT 'its length [s]',
    `source` LowCardinality(String) COMMENT 'fold that counts: sessions, journeys',
    `source_partition` UInt32 COMMENT 'its partition',
    `journey` LowCardinality(String) COMMENT 'journey',
    `step` LowCardinality(String) COMMENT 'step',
    `expectation` LowCardinality(String) COMMENT 'expectation',
    `signal` LowCardinality(String) COMMENT 'signal',
    `device` LowCardinality(String) COMMENT 'device, where it is a dimension',
    `country` LowCardinality(String) COMMENT 'country, where it is a dimension',
    `acquisition_channel` LowCardinality(String) COMMENT 'channel, where it is a dimension',
    `measure` LowCardinality(String) COMMENT 'sessions, reached, began, met, abandoned, silent, contacted, recovered, converted, signals',
    `n` Int64 COMMENT 'how many, absolute',
    `matures_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when every wait of the interval can have elapsed [UTC]',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(interval_at)
ORDER BY (site, interval_at, interval_s, source, source_partition, journey, step, expectation, signal, device, country, acquisition_channel, measure)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'one count of one interval and segment, absolute';
