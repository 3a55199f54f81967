-- Late orders: what was promised for a time after all that was seen of a site counts no more, as with everything else that was due then. A replay lets
-- every promise pass; and before it has, only those that came early were counted. The rest of the view is as it was.

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
    INNER JOIN sites_now AS s ON k.site = s.site
    LEFT ANY JOIN delivering AS d ON k.site = d.its_site
    WHERE k.case_type = 'order' AND k.promised_at <= s.last_at AND (k.delivered_at IS NOT NULL OR k.is_late = 1)
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
