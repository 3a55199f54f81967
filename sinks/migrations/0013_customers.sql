-- Customers: what each has been through, as the fold by person tells it.

CREATE TABLE IF NOT EXISTS customers
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `customer_id` String COMMENT 'known person',
    `account_id` String COMMENT 'company of a B2B customer, as said last',
    `first_seen_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first visit, order, contact or answer; null: only support has written [UTC]',
    `last_seen_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'the last of them [UTC]',
    `n_sessions` UInt32 COMMENT 'visits [visits]',
    `n_orders` UInt32 COMMENT 'orders that were not cancelled [orders]',
    `n_order_days` UInt32 COMMENT 'days of the site on which they were placed [days]',
    `n_contacts` UInt32 COMMENT 'tickets in which the customer spoke [tickets]',
    `n_lapses` UInt32 COMMENT 'expectations that lapsed, whatever came of it [lapses]',
    `n_silent` UInt32 COMMENT 'of these, those that nobody spoke of and that never came [lapses]',
    `n_late_deliveries` UInt32 COMMENT 'orders that came late, or are late [orders]',
    `first_order_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first order [UTC]',
    `second_order_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'second order [UTC]',
    `last_order_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'last order [UTC]',
    `median_days_between_orders` Nullable(Float64) COMMENT 'median time from one order to the next; null: fewer than two [days]',
    `is_repeat` UInt8 COMMENT '1: orders on two or more days [0 or 1]',
    `nps` Nullable(Int64) COMMENT 'how likely to recommend, as answered last [points, 0..10]',
    `loyalty_state` LowCardinality(String) COMMENT 'new, active, at_risk (most of the wait for the next order is over), lapsed (all of it), returned (after a lapse)',
    `spent_minor` Nullable(Int64) COMMENT 'orders less what was paid back, in the currency of the last one [minor units of currency]',
    `currency` LowCardinality(String) COMMENT 'currency of the last order [ISO 4217]',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, customer_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'what one customer has been through';

CREATE OR REPLACE VIEW customers_now AS
SELECT * FROM customers FINAL WHERE is_deleted = 0
SETTINGS use_skip_indexes_if_final_exact_mode = 1
COMMENT 'what one customer has been through: latest versions';
