CREATE TABLE IF NOT EXISTS outcomes
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `expectation` LowCardinality(String) COMMENT 'what was expected',
    `outcome_id` String COMMENT 'hash of site, expectation, key and first arming event',
    `journey` LowCardinality(String) COMMENT 'journey',
    `step` LowCardinality(String) COMMENT 'step at which it lapsed',
    `owner` LowCardinality(String) COMMENT 'team that owns the step',
    `assignee_id` String COMMENT 'person who had to act',
    `visitor_id` String COMMENT 'browser or device, before login',
    `session_id` String COMMENT 'session',
    `order_id` String COMMENT 'order',
    `quote_id` String COMMENT 'quote',
    `delivery_id` String COMMENT 'parcel',
    `ticket_id` String COMMENT 'ticket',
    `customer_id` String COMMENT 'known person',
    `account_id` String COMMENT 'company of a B2B customer',
    `began_at` DateTime64(3, 'UTC') COMMENT 'start of the wait [UTC]',
    `due_at` DateTime64(3, 'UTC') COMMENT 'end of the wait [UTC]',
    `lapsed_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when it lapsed [UTC]',
    `decided_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when silent, contacted or recovered was decided [UTC]',
    `contacted_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first contact with support about it [UTC]',
    `recovered_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'what was expected came late, within the recovery window [UTC]',
    `returned_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'what was expected came later still [UTC]',
    `status` LowCardinality(String) COMMENT 'provisional, silent, contacted, recovered',
    `cause` LowCardinality(String) COMMENT 'signal or earlier lapse that explains it best',
    `cause_id` String COMMENT 'its id',
    `contact_ticket_id` String COMMENT 'ticket of the contact',
    `value_minor` Nullable(Int64) COMMENT 'money at stake [minor units of currency]',
    `currency` LowCardinality(String) COMMENT 'currency [ISO 4217]',
    `device` LowCardinality(String) COMMENT 'desktop, mobile, tablet, app, other',
    `browser` LowCardinality(String) COMMENT 'browser',
    `country` LowCardinality(String) COMMENT 'country [ISO 3166-1 alpha-2]',
    `app_version` LowCardinality(String) COMMENT 'release of the shop\'s page or app',
    `acquisition_channel` LowCardinality(String) COMMENT 'where the visit came from',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, expectation, outcome_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'one lapse: something expected that did not come';
