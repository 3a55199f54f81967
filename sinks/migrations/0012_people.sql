-- People and support: tickets, and answers to surveys, as the fold by person tells them.

CREATE TABLE IF NOT EXISTS contacts
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `ticket_id` String COMMENT 'the ticket',
    `visitor_id` String COMMENT 'browser or device, before login',
    `customer_id` String COMMENT 'known person',
    `account_id` String COMMENT 'company of a B2B customer',
    `linked_by` LowCardinality(String) COMMENT 'by what its person is known: customer, visitor, order, account; unlinked: by nothing, for longer than one waits; \'\': by nothing yet',
    `order_id` String COMMENT 'order it is about: the first that was said',
    `session_id` String COMMENT 'visit from which it came: the first that was said',
    `channel` LowCardinality(String) COMMENT 'email, chat, phone, bot, social, form, store: where it began',
    `topic` LowCardinality(String) COMMENT 'what it is about, as said last; how_to: needed help for a simple task',
    `team` LowCardinality(String) COMMENT 'team that serves, as said last',
    `agent_id` String COMMENT 'who serves, as said last',
    `priority` LowCardinality(String) COMMENT 'priority, as said last',
    `owner` LowCardinality(String) COMMENT 'team that owns that step; support, if none is known',
    `journey` LowCardinality(String) COMMENT 'journey it is about: its own, else that of its order, else support',
    `step` LowCardinality(String) COMMENT 'step it is about: its own, else of its order delivered or the first, else opened, replied or solved of support',
    `is_outbound` UInt8 COMMENT '1: the shop got in touch, as the first event says that says it [0 or 1]',
    `opened_at` DateTime64(3, 'UTC') COMMENT 'its earliest event [UTC]',
    `first_reply_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first reply of an agent or a bot; null if outbound: nobody asked [UTC]',
    `first_human_reply_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first reply of an agent; null if outbound [UTC]',
    `solved_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'solved last; null while it is not, or opened again [UTC]',
    `closed_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'closed last [UTC]',
    `first_reply_ms` Nullable(Int64) COMMENT 'opening to first reply, all hours counted [ms]',
    `resolution_ms` Nullable(Int64) COMMENT 'opening to solved_at, all hours counted [ms]',
    `n_messages` UInt32 COMMENT 'messages of the customer after the opening [messages]',
    `n_replies` UInt32 COMMENT 'replies of agents [replies]',
    `n_bot_replies` UInt32 COMMENT 'replies of bots [replies]',
    `n_reopens` UInt32 COMMENT 'how often it was opened again [times]',
    `n_transfers` UInt32 COMMENT 'how often somebody else became responsible [times]',
    `is_escalated` UInt8 COMMENT '1: it went up [0 or 1]',
    `is_bot_only` UInt8 COMMENT '1: a bot replied, and no person has so far [0 or 1]',
    `csat` Nullable(Int64) COMMENT 'satisfaction, as answered last: 4 and 5 are satisfied [1 .. 5]',
    `ces` Nullable(Int64) COMMENT 'ease, as answered last: 5 and more are easy [1 .. 7]',
    `sentiment` Nullable(Float64) COMMENT 'mean of what the customer wrote; null: nothing in a language that is read [-1 .. 1]',
    `n_texts_unread` UInt32 COMMENT 'texts of the customer in a language that is not read for sentiment [texts]',
    `status` LowCardinality(String) COMMENT 'open, solved, closed, left (the customer gave up waiting)',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, ticket_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'one support ticket';

CREATE TABLE IF NOT EXISTS answers
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `kind` LowCardinality(String) COMMENT 'csat, nps, ces',
    `answer_id` String COMMENT 'event_id of the answer',
    `score` Nullable(Int64) COMMENT 'csat 1..5, nps 0..10, ces 1..7 [points]',
    `answered_at` DateTime64(3, 'UTC') COMMENT 'when it was answered [UTC]',
    `visitor_id` String COMMENT 'browser or device, before login',
    `customer_id` String COMMENT 'known person',
    `account_id` String COMMENT 'company of a B2B customer',
    `order_id` String COMMENT 'order it is about: its own, else that of its ticket',
    `ticket_id` String COMMENT 'ticket it is about; \'\': none',
    `session_id` String COMMENT 'visit it is about: its own, else that of its ticket',
    `journey` LowCardinality(String) COMMENT 'journey it is about: its own, else that of its ticket or order, else support',
    `step` LowCardinality(String) COMMENT 'step it is about, likewise',
    `owner` LowCardinality(String) COMMENT 'team that owns that step; support, if none is known',
    `sentiment` Nullable(Float64) COMMENT 'of the words beside the score; null: none in a language that is read [-1 .. 1]',
    `version` UInt64 COMMENT 'of the versions of a row the highest counts [µs, of a hybrid clock]',
    `is_deleted` UInt8 COMMENT '1: this row was retracted; the _now view hides it [0 or 1]',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the row reached ClickHouse; retention counts from here [UTC]'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, kind, answer_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'one answer to a survey';

CREATE OR REPLACE VIEW contacts_now AS
SELECT * FROM contacts FINAL WHERE is_deleted = 0
SETTINGS use_skip_indexes_if_final_exact_mode = 1
COMMENT 'one support ticket: latest versions';

CREATE OR REPLACE VIEW answers_now AS
SELECT * FROM answers FINAL WHERE is_deleted = 0
SETTINGS use_skip_indexes_if_final_exact_mode = 1
COMMENT 'one answer to a survey: latest versions';
