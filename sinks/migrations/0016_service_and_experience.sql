-- Service and experience, side by side. What is measured of one thing (a ticket, a visit, a document, an answer, a wait) is a row of service_facts or
-- experience_facts, once for each level that it belongs to: the site (journey and owner are ''), the journey (owner is ''), and the owner in the journey.
-- So no level is a sum of others: a visit that met two owners is one visit of the site. The weekly views are means and medians of these rows, with their number.
-- `sinks/signs/README.md` says what each measure counts, when, and whose it is.

CREATE OR REPLACE VIEW sites_now
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `first_at` DateTime64(3, 'UTC') COMMENT 'first visit, document, ticket or answer [UTC]',
    `last_at` DateTime64(3, 'UTC') COMMENT 'the last of them: what was to come later nobody has seen [UTC]'
)
AS
SELECT site, min(since) AS first_at, max(until) AS last_at
FROM
(
    SELECT site, min(started_at) AS since, max(ended_at) AS until FROM sessions_now GROUP BY site
    UNION ALL
    SELECT site, min(opened_at), max(opened_at) FROM cases_now GROUP BY site
    UNION ALL
    SELECT site, min(opened_at), max(opened_at) FROM contacts_now GROUP BY site
    UNION ALL
    SELECT site, min(answered_at), max(answered_at) FROM answers_now GROUP BY site
)
GROUP BY site
SETTINGS use_skip_indexes_if_final_exact_mode = 1, join_use_nulls = 0
COMMENT 'each site, and the time in which something was seen of it';

CREATE OR REPLACE VIEW service_facts
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `journey` LowCardinality(String) COMMENT 'journey that the ticket is about; \'\': the whole site',
    `owner` LowCardinality(String) COMMENT 'team that owns the step that the ticket is about; \'\': all of the journey',
    `at` DateTime64(3, 'UTC') COMMENT 'when the ticket was opened, or the order [UTC]',
    `measure` LowCardinality(String) COMMENT 'tickets, csat, first_reply_min, first_human_reply_min, resolution_h, reopen_rate, transfer_rate; orders (of the site)',
    `value` Float64 COMMENT '1 or 0 of a share, minutes, hours',
    `id` String COMMENT 'ticket_id; order_id of orders'
)
AS
SELECT
    site,
    (arrayJoin(levels) AS level).1 AS journey,
    level.2 AS owner,
    at,
    (arrayJoin(arrayFilter(each -> each.2 IS NOT NULL, every)) AS measured).1 AS measure,
    assumeNotNull(measured.2) AS value,
    id
FROM
(
    SELECT
        site,
        opened_at AS at,
        ticket_id AS id,
        arrayDistinct([('', ''), (toString(journey), ''), (toString(journey), toString(owner))]) AS levels,
        [
            ('tickets', toNullable(1.)),
            ('csat', toFloat64(csat >= 4)),
            ('first_reply_min', first_reply_ms / 60000),
            ('first_human_reply_min', dateDiff('millisecond', opened_at, first_human_reply_at) / 60000),
            ('resolution_h', resolution_ms / 3600000),
            -- Of those that were solved once.
            ('reopen_rate', if(solved_at IS NULL AND n_reopens = 0, NULL, toFloat64(n_reopens > 0))),
            ('transfer_rate', toFloat64(n_transfers > 0))
        ] AS every
    FROM contacts_now
    WHERE is_outbound = 0
    UNION ALL
    SELECT site, opened_at, order_id, [('', '')], [('orders', toNullable(1.))] FROM cases_now WHERE case_type = 'order'
)
SETTINGS use_skip_indexes_if_final_exact_mode = 1, join_use_nulls = 0
COMMENT 'one measurement of one ticket at one level: what service_weekly is made of';

CREATE OR REPLACE VIEW experience_facts
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `journey` LowCardinality(String) COMMENT 'journey; \'\': the whole site',
    `owner` LowCardinality(String) COMMENT 'team that owns the step; \'\': all of the journey',
    `at` DateTime64(3, 'UTC') COMMENT 'when the visit, document or wait began, the promise ended, the answer was given [UTC]',
    `measure` LowCardinality(String) COMMENT 'conversion, friction, silent_loss, silent_rate, late_share, repeat_rate, churn_rate, nps, ces, rating, sentiment, effort',
    `value` Float64 COMMENT '1 or 0 of a share; signals; 100, 0 or -100 of nps; -1 .. 1 of sentiment; contacts of effort',
    `id` String COMMENT 'visitor_id/session_id, order_id, outcome_id, customer_id, answer_id or ticket_id'
)
AS
WITH
    visits AS
    (
        SELECT site AS visit_site, concat(visitor_id, '/', session_id) AS visit_id, started_at, status, n_signals FROM sessions_now
        WHERE is_bot = 0 AND status IN ('browsed', 'abandoned', 'converted')
    ),
    -- Lapses that are decided. Whoever does not order again is churn, a reply that does not come is service: neither is counted here as well.
    -- What was due after all that was seen nobody can have seen.
    lapses AS
    (
        SELECT
            o.site AS site, o.outcome_id AS outcome_id, o.began_at AS began_at, o.status = 'silent' AS is_silent, o.returned_at AS returned_at,
            if(o.order_id = '', 'session', 'case') AS instance,
            if(o.order_id = '', concat(o.visitor_id, '/', o.session_id), o.order_id) AS instance_id,
            arrayDistinct([('', ''), (toString(o.journey), ''), (toString(o.journey), toString(o.owner))]) AS levels
        FROM outcomes_now AS o
        INNER JOIN sites_now AS s ON o.site = s.site
        WHERE o.status != 'provisional' AND o.expectation != 'next_order' AND o.ticket_id = '' AND o.due_at <= s.last_at
    ),
    -- What a visit or document met in all, at the steps of a journey, and of each owner in it; whether it reached the journey's goal; whether it was lost there.
    met AS
    (
        SELECT site, instance, instance_id, part.1 AS met_journey, part.2 AS met_owner, max(reached) AS is_met, sum(n_signals) AS n_met, max(is_lost) AS is_lost
        FROM
        (
            SELECT
                site, toString(instance) AS instance, instance_id, toUInt64(n_signals) AS n_signals, 0 AS is_lost,
                arrayDistinct([(toString(journey), ''), (toString(journey), toString(owner))]) AS parts,
                max(is_goal) OVER (PARTITION BY site, instance, instance_id, journey) AS reached
            FROM steps_now
            UNION ALL
            SELECT site, instance, instance_id, 0, 1, levels, 0 FROM lapses WHERE is_silent AND returned_at IS NULL
        )
        ARRAY JOIN parts AS part
        GROUP BY site, instance, instance_id, met_journey, met_owner
    ),
    -- Who delivers, as the goal of the journey of orders says.
    delivering AS
    (
        SELECT site AS its_site, argMax(owner, last_at) AS its_owner FROM steps_now
        WHERE instance = 'case' AND journey = 'order' AND is_goal = 1
        GROUP BY site
    )
SELECT
    site,
    (arrayJoin(levels) AS level).1 AS journey,
    level.2 AS owner,
    at,
    (arrayJoin(arrayFilter(each -> each.2 IS NOT NULL, every)) AS measured).1 AS measure,
    assumeNotNull(measured.2) AS value,
    id
FROM
(
    SELECT
        v.visit_site AS site, v.started_at AS at, v.visit_id AS id, [('', '')] AS levels,
        [
            ('conversion', toNullable(toFloat64(v.status = 'converted'))),
            ('friction', toNullable(toFloat64(v.n_signals))),
            ('silent_loss', toNullable(toFloat64(m.is_lost)))
        ] AS every
    FROM visits AS v
    LEFT ANY JOIN
    (
        SELECT site, instance_id, is_lost FROM met WHERE instance = 'session' AND met_journey = ''
    ) AS m ON v.visit_site = m.site AND v.visit_id = m.instance_id
    UNION ALL
    SELECT
        m.site, v.started_at, m.instance_id, [(m.met_journey, m.met_owner)],
        [
            ('conversion', toNullable(toFloat64(m.is_met))),
            ('friction', toNullable(toFloat64(m.n_met))),
            ('silent_loss', toNullable(toFloat64(m.is_lost)))
        ]
    FROM met AS m
    INNER JOIN visits AS v ON m.site = v.visit_site AND m.instance_id = v.visit_id
    WHERE m.instance = 'session' AND m.met_journey != ''
    UNION ALL
    SELECT
        m.site, k.opened_at, m.instance_id, [(m.met_journey, m.met_owner)],
        [
            ('conversion', if(k.closed_at IS NULL, NULL, toFloat64(m.is_met))),
            ('friction', toNullable(toFloat64(m.n_met))),
            ('silent_loss', toNullable(toFloat64(m.is_lost)))
        ]
    FROM met AS m
    INNER JOIN cases_now AS k ON m.site = k.site AND m.instance_id = k.order_id
    WHERE m.instance = 'case' AND m.met_journey != ''
    UNION ALL
    SELECT site, began_at, outcome_id, levels, [('silent_rate', toNullable(toFloat64(is_silent)))] FROM lapses
    UNION ALL
    SELECT
        k.site, assumeNotNull(k.promised_at), k.order_id, arrayDistinct([('', ''), ('order', ''), ('order', toString(d.its_owner))]),
        [('late_share', toNullable(toFloat64(k.is_late)))]
    FROM cases_now AS k
    LEFT ANY JOIN delivering AS d ON k.site = d.its_site
    WHERE k.case_type = 'order' AND k.promised_at IS NOT NULL AND (k.delivered_at IS NOT NULL OR k.is_late = 1)
    UNION ALL
    -- Those whose 90 days are over, at their end.
    SELECT
        c.site, assumeNotNull(c.first_order_at) + INTERVAL 90 DAY AS over_at, c.customer_id, [('', '')],
        [('repeat_rate', toNullable(toFloat64(ifNull(c.second_order_at <= over_at, 0))))]
    FROM customers_now AS c
    INNER JOIN sites_now AS s ON c.site = s.site
    WHERE c.first_order_at IS NOT NULL AND over_at <= s.last_at
    UNION ALL
    -- Waits for the next order that have ended: with it, or without. Before a site was seen for as long as the longest wait, the second kind is missing.
    SELECT w.site, w.at, w.id, [('', '')], [('churn_rate', toNullable(w.is_lost))]
    FROM
    (
        SELECT k.site AS site, k.opened_at AS at, k.order_id AS id, 0. AS is_lost
        FROM cases_now AS k
        INNER JOIN customers_now AS c ON k.site = c.site AND k.customer_id = c.customer_id
        WHERE k.case_type = 'order' AND k.cancelled_at IS NULL AND k.opened_at > c.first_order_at
        UNION ALL
        SELECT site, due_at, outcome_id, 1.
        FROM outcomes_now
        WHERE expectation = 'next_order' AND status IN ('silent', 'contacted') AND returned_at IS NULL
    ) AS w
    INNER JOIN sites_now AS s ON w.site = s.site
    WHERE w.at >= s.first_at + INTERVAL 120 DAY AND w.at <= s.last_at
    UNION ALL
    SELECT
        site, answered_at, answer_id, arrayDistinct([('', ''), (toString(journey), ''), (toString(journey), toString(owner))]),
        [
            ('nps', if(kind = 'nps', 100. * ((score >= 9) - (score <= 6)), NULL)),
            ('ces', if(kind = 'ces', toFloat64(score >= 5), NULL)),
            -- A satisfaction that names no ticket is one with the goods or the visit.
            ('rating', if(kind = 'csat' AND ticket_id = '', toFloat64(score >= 4), NULL)),
            ('sentiment', sentiment)
        ]
    FROM answers_now
    UNION ALL
    SELECT
        site, opened_at, ticket_id, arrayDistinct([('', ''), (toString(journey), ''), (toString(journey), toString(owner))]),
        [('sentiment', sentiment)]
    FROM contacts_now
    WHERE is_outbound = 0
    UNION ALL
    -- A simple task: what somebody wrote within a week about how to do something, of one order or else in one journey. It is whose the first ticket is.
    SELECT
        site, min(opened_at), argMin(ticket_id, (opened_at, ticket_id)),
        arrayDistinct([('', ''), (toString(journey), ''), (toString(journey), toString(argMin(owner, (opened_at, ticket_id))))]),
        [('effort', toNullable(toFloat64(sum(1 + n_messages))))]
    FROM contacts_now
    WHERE is_outbound = 0 AND topic = 'how_to'
    GROUP BY site, journey, toMonday(opened_at), multiIf(order_id != '', order_id, customer_id != '', customer_id, visitor_id != '', visitor_id, ticket_id)
)
SETTINGS use_skip_indexes_if_final_exact_mode = 1, join_use_nulls = 0
COMMENT 'one measurement of one visit, document, wait, customer, answer or ticket at one level: what experience_weekly is made of';

CREATE OR REPLACE VIEW service_weekly
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `journey` LowCardinality(String) COMMENT 'journey; \'\': the whole site',
    `owner` LowCardinality(String) COMMENT 'team that owns the step; \'\': all of the journey',
    `week` Date COMMENT 'Monday of the week, UTC',
    `tickets` UInt64 COMMENT 'tickets that customers opened',
    `contact_rate` Nullable(Float64) COMMENT 'these tickets for 100 orders of the site in that week [tickets]',
    `n_contact_rate` UInt64 COMMENT 'orders of the site in that week',
    `csat` Nullable(Float64) COMMENT 'share of tickets with a satisfaction of 4 or 5 of 5, of those that have one [0 .. 1]',
    `n_csat` UInt64 COMMENT 'tickets with an answer',
    `first_reply_min` Nullable(Float64) COMMENT 'opening to the first reply, of a person or a bot, median, all hours counted [min]',
    `n_first_reply_min` UInt64 COMMENT 'tickets with a reply',
    `first_human_reply_min` Nullable(Float64) COMMENT 'opening to the first reply of a person, median, all hours counted [min]',
    `n_first_human_reply_min` UInt64 COMMENT 'tickets with a reply of a person',
    `resolution_h` Nullable(Float64) COMMENT 'opening to the last solution, median, all hours counted [h]',
    `n_resolution_h` UInt64 COMMENT 'tickets that are solved',
    `reopen_rate` Nullable(Float64) COMMENT 'share of tickets that were opened again, of those that were solved once [0 .. 1]',
    `n_reopen_rate` UInt64 COMMENT 'tickets that were solved once',
    `transfer_rate` Nullable(Float64) COMMENT 'share of tickets for which somebody else became responsible [0 .. 1]',
    `n_transfer_rate` UInt64 COMMENT 'tickets'
)
AS
SELECT
    site,
    journey,
    owner,
    toMonday(at) AS week,
    countIf(measure = 'tickets') AS tickets,
    if(n_contact_rate = 0, NULL, 100 * tickets / n_contact_rate) AS contact_rate,
    sum(countIf(measure = 'orders')) OVER (PARTITION BY site, week) AS n_contact_rate,
    avgIfOrNull(value, measure = 'csat') AS csat,
    countIf(measure = 'csat') AS n_csat,
    quantileExactInclusiveIfOrNull(0.5)(value, measure = 'first_reply_min') AS first_reply_min,
    countIf(measure = 'first_reply_min') AS n_first_reply_min,
    quantileExactInclusiveIfOrNull(0.5)(value, measure = 'first_human_reply_min') AS first_human_reply_min,
    countIf(measure = 'first_human_reply_min') AS n_first_human_reply_min,
    quantileExactInclusiveIfOrNull(0.5)(value, measure = 'resolution_h') AS resolution_h,
    countIf(measure = 'resolution_h') AS n_resolution_h,
    avgIfOrNull(value, measure = 'reopen_rate') AS reopen_rate,
    countIf(measure = 'reopen_rate') AS n_reopen_rate,
    avgIfOrNull(value, measure = 'transfer_rate') AS transfer_rate,
    countIf(measure = 'transfer_rate') AS n_transfer_rate
FROM service_facts
GROUP BY site, journey, owner, week
SETTINGS use_skip_indexes_if_final_exact_mode = 1, join_use_nulls = 0
COMMENT 'how customers were served, per site, journey, owner of the step and week of the opening of the ticket; null: nothing can be said';

CREATE OR REPLACE VIEW experience_weekly
(
    `site` LowCardinality(String) COMMENT 'shop, brand or market',
    `journey` LowCardinality(String) COMMENT 'journey; \'\': the whole site',
    `owner` LowCardinality(String) COMMENT 'team that owns the step; \'\': all of the journey',
    `week` Date COMMENT 'Monday of the week, UTC',
    `conversion` Nullable(Float64) COMMENT 'share of visits that reached the goal, of those that met this owner or journey and are over; in journeys of documents, of documents [0 .. 1]',
    `n_conversion` UInt64 COMMENT 'visits or documents that are over',
    `friction` Nullable(Float64) COMMENT 'friction signals a visit, at the steps of this owner or journey; in journeys of documents, a document [signals]',
    `n_friction` UInt64 COMMENT 'visits that are over, or documents',
    `silent_loss` Nullable(Float64) COMMENT 'share of visits that were lost in silence here and did not come back, of those that met this owner or journey and are over; of documents likewise [0 .. 1]',
    `n_silent_loss` UInt64 COMMENT 'visits that are over, or documents',
    `silent_rate` Nullable(Float64) COMMENT 'share of lapses that went by in silence, of those that are decided; waits for support and for the next order left out [0 .. 1]',
    `n_silent_rate` UInt64 COMMENT 'decided lapses',
    `late_share` Nullable(Float64) COMMENT 'share of orders that came after the promise, or have not come and the promise is past; in the week of the promise [0 .. 1]',
    `n_late_share` UInt64 COMMENT 'orders with a promise that came or are late',
    `repeat_rate` Nullable(Float64) COMMENT 'share of customers who ordered again within 90 days of the first order; in the week in which these are over; of the site alone [0 .. 1]',
    `n_repeat_rate` UInt64 COMMENT 'customers whose 90 days are over',
    `churn_rate` Nullable(Float64) COMMENT 'share of waits for the next order that ended without one; of the site alone, from its 120th day [0 .. 1]',
    `n_churn_rate` UInt64 COMMENT 'waits for the next order that ended',
    `nps` Nullable(Float64) COMMENT 'share of promoters (9, 10) less that of detractors (0 to 6) [-100 .. 100]',
    `n_nps` UInt64 COMMENT 'answers',
    `ces` Nullable(Float64) COMMENT 'share of answers of 5 and more of 7: it was easy [0 .. 1]',
    `n_ces` UInt64 COMMENT 'answers',
    `rating` Nullable(Float64) COMMENT 'share of 4 and 5 of 5, of satisfactions that name no ticket [0 .. 1]',
    `n_rating` UInt64 COMMENT 'answers',
    `sentiment` Nullable(Float64) COMMENT 'mean of what customers wrote in tickets and answers [-1 .. 1]',
    `n_sentiment` UInt64 COMMENT 'tickets and answers with words that are read',
    `effort` Nullable(Float64) COMMENT 'how often a customer wrote for one simple task (topic how_to), mean [contacts]',
    `n_effort` UInt64 COMMENT 'tasks'
)
AS
SELECT
    site,
    journey,
    owner,
    toMonday(at) AS week,
    avgIfOrNull(value, measure = 'conversion') AS conversion,
    countIf(measure = 'conversion') AS n_conversion,
    avgIfOrNull(value, measure = 'friction') AS friction,
    countIf(measure = 'friction') AS n_friction,
    avgIfOrNull(value, measure = 'silent_loss') AS silent_loss,
    countIf(measure = 'silent_loss') AS n_silent_loss,
    avgIfOrNull(value, measure = 'silent_rate') AS silent_rate,
    countIf(measure = 'silent_rate') AS n_silent_rate,
    avgIfOrNull(value, measure = 'late_share') AS late_share,
    countIf(measure = 'late_share') AS n_late_share,
    avgIfOrNull(value, measure = 'repeat_rate') AS repeat_rate,
    countIf(measure = 'repeat_rate') AS n_repeat_rate,
    avgIfOrNull(value, measure = 'churn_rate') AS churn_rate,
    countIf(measure = 'churn_rate') AS n_churn_rate,
    avgIfOrNull(value, measure = 'nps') AS nps,
    countIf(measure = 'nps') AS n_nps,
    avgIfOrNull(value, measure = 'ces') AS ces,
    countIf(measure = 'ces') AS n_ces,
    avgIfOrNull(value, measure = 'rating') AS rating,
    countIf(measure = 'rating') AS n_rating,
    avgIfOrNull(value, measure = 'sentiment') AS sentiment,
    countIf(measure = 'sentiment') AS n_sentiment,
    avgIfOrNull(value, measure = 'effort') AS effort,
    countIf(measure = 'effort') AS n_effort
FROM experience_facts
GROUP BY site, journey, owner, week
SETTINGS use_skip_indexes_if_final_exact_mode = 1, join_use_nulls = 0
COMMENT 'what customers went through, per site, journey, owner of the step and week; null: nothing can be said';
