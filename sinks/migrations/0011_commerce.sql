-- Commerce: documents and parcels, as the fold by order tells them.

CREATE TABLE IF NOT EXISTS cases
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `order_id` String COMMENT 'the document',
    `case_type` LowCardinality(String) COMMENT 'order, rfq, approval, onboarding, other',
    `parent_id` String COMMENT 'the document that it came from',
    `session_id` String COMMENT 'visit in which it began',
    `visitor_id` String COMMENT 'browser or device, before login',
    `customer_id` String COMMENT 'known person',
    `account_id` String COMMENT 'company of a B2B customer',
    `journey` LowCardinality(String) COMMENT 'order, return, rfq, approval, onboarding, process',
    `step` LowCardinality(String) COMMENT 'furthest step reached of that journey',
    `status` LowCardinality(String) COMMENT 'open, delivered, cancelled, returned, sent_back, lost, accepted, rejected, expired, withdrawn, granted, completed',
    `reason` LowCardinality(String) COMMENT 'last reason that was given',
    `opened_at` DateTime64(3, 'UTC') COMMENT 'first event [UTC]',
    `closed_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'what its status says happened; null while it is open [UTC]',
    `cancelled_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'cancelled or withdrawn [UTC]',
    `amount_minor` Nullable(Int64) COMMENT 'last known total [minor units of currency]',
    `refund_minor` Nullable(Int64) COMMENT 'paid back so far; null: nothing was [minor units of currency]',
    `currency` LowCardinality(String) COMMENT 'currency of both [ISO 4217]',
    `payment_method` LowCardinality(String) COMMENT 'how it is paid',
    `country` LowCardinality(String) COMMENT 'country of delivery [ISO 3166-1 alpha-2]',
    `carrier` LowCardinality(String) COMMENT 'carrier (the last)',
    `assignee_id` String COMMENT 'who had to act next, as said last',
    `due_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when the next step is due, as said last [UTC]',
    `quoted_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first quote [UTC]',
    `answered_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first answer to a quote [UTC]',
    `n_quotes` UInt32 COMMENT 'quotes [quotes]',
    `promised_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'delivery promised at checkout, else by the carrier [UTC]',
    `shipped_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first parcel left [UTC]',
    `first_scan_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first scan of a parcel [UTC]',
    `delivered_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'the last parcel came; null while one is missing [UTC]',
    `late_ms` Nullable(Int64) COMMENT 'after the promise; negative: before it; null while undelivered [ms]',
    `is_late` UInt8 COMMENT '1: delivered after the promise, or not yet and the promise is past [0 or 1]',
    `n_parcels` UInt32 COMMENT 'parcels [parcels]',
    `n_updates` UInt32 COMMENT 'events of its parcels [events]',
    `longest_silence_ms` Nullable(Int64) COMMENT 'longest time without a scan between shipping and the last scan [ms]',
    `n_attempts_failed` UInt32 COMMENT 'deliveries tried in vain [attempts]',
    `n_payment_failures` UInt32 COMMENT 'payments that failed [payments]',
    `is_reorder` UInt8 COMMENT '1: an earlier order again [0 or 1]',
    `is_returned` UInt8 COMMENT '1: a return was asked for [0 or 1]',
    `n_signals` UInt32 COMMENT 'friction signals that fired [signals]',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, order_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'one commerce document';

CREATE TABLE IF NOT EXISTS deliveries
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `delivery_id` String COMMENT 'parcel',
    `order_id` String COMMENT 'its order; \'\': none is known',
    `linked_by` LowCardinality(String) COMMENT 'who told its order: delivery, order; unlinked: nobody, for longer than one waits; \'\': nobody yet',
    `customer_id` String COMMENT 'customer of the order',
    `carrier` LowCardinality(String) COMMENT 'carrier (the last)',
    `country` LowCardinality(String) COMMENT 'country of delivery [ISO 3166-1 alpha-2]',
    `shipped_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'it left [UTC]',
    `first_scan_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first scan [UTC]',
    `promised_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'delivery promised at checkout, else by the carrier [UTC]',
    `eta_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'expected, as said last [UTC]',
    `n_eta_changes` UInt32 COMMENT 'how often the date moved [changes]',
    `delivered_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'it came [UTC]',
    `late_ms` Nullable(Int64) COMMENT 'after the promise; negative: before it; null while undelivered [ms]',
    `n_attempts_failed` UInt32 COMMENT 'deliveries tried in vain [attempts]',
    `n_notified` UInt32 COMMENT 'messages to the customer [messages]',
    `status` LowCardinality(String) COMMENT 'type of its last event that says where it is; delivered stays',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, delivery_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'one parcel';

CREATE OR REPLACE VIEW cases_now AS
SELECT * FROM cases FINAL WHERE is_deleted = 0
SETTINGS use_skip_indexes_if_final_exact_mode = 1
COMMENT 'one commerce document: latest versions';

CREATE OR REPLACE VIEW deliveries_now AS
SELECT * FROM deliveries FINAL WHERE is_deleted = 0
SETTINGS use_skip_indexes_if_final_exact_mode = 1
COMMENT 'one parcel: latest versions';
