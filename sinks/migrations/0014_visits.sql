-- The join per customer session: a visit with its customer, its order, what was said to support, what became of it, and why.
-- Over _now views, so that no row is multiplied by versions; every join finds one row or none. `SELECT *` is frozen here as it is in them: a migration that
-- adds a column to sessions makes this view anew as well. What is joined has names of its own: a name that stands twice would be shown as `v.name`.

CREATE OR REPLACE VIEW visits_now AS
WITH
    -- Of a visit that knows no order, the first that knows the visit.
    ordered AS
    (
        SELECT
            site AS order_site,
            visitor_id AS order_visitor_id,
            session_id AS order_session_id,
            argMin(order_id, (opened_at, order_id)) AS known_order_id
        FROM cases_now
        WHERE session_id != '' AND visitor_id != '' AND case_type = 'order'
        GROUP BY site, visitor_id, session_id
    ),
    visits AS
    (
        SELECT s.* EXCEPT (version, is_deleted, written_at) REPLACE (if(s.order_id = '', o.known_order_id, s.order_id) AS order_id)
        FROM sessions_now AS s
        LEFT ANY JOIN ordered AS o ON s.site = o.order_site AND s.visitor_id = o.order_visitor_id AND s.session_id = o.order_session_id
        WHERE s.is_bot = 0
    ),
    lapses AS
    (
        SELECT
            site AS lapse_site,
            visitor_id AS lapse_visitor_id,
            session_id AS lapse_session_id,
            outcome_id AS lapse_id,
            status AS lapse_status,
            owner AS lapse_owner,
            lapsed_at AS lapse_at,
            decided_at AS lapse_decided_at,
            contacted_at AS lapse_contacted_at,
            recovered_at AS lapse_recovered_at,
            returned_at AS lapse_returned_at,
            cause AS lapse_cause,
            cause_id AS lapse_cause_id,
            value_minor AS lapse_value_minor,
            contact_ticket_id
        FROM outcomes_now WHERE expectation = 'order_after_commit'
    ),
    -- Tickets that name the visit or its order, and the one that made it contacted.
    named AS
    (
        SELECT site, visitor_id, session_id, ticket_id FROM contacts_now
        WHERE session_id != '' AND visitor_id != '' AND is_outbound = 0
        UNION DISTINCT
        SELECT v.site AS site, v.visitor_id AS visitor_id, v.session_id AS session_id, c.ticket_id AS ticket_id
        FROM visits AS v
        INNER JOIN contacts_now AS c ON v.site = c.site AND v.order_id = c.order_id
        WHERE v.order_id != '' AND c.is_outbound = 0
        UNION DISTINCT
        SELECT lapse_site AS site, lapse_visitor_id AS visitor_id, lapse_session_id AS session_id, contact_ticket_id AS ticket_id
        FROM lapses
        WHERE contact_ticket_id != ''
    ),
    said AS
    (
        SELECT
            n.site AS said_site,
            n.visitor_id AS said_visitor_id,
            n.session_id AS said_session_id,
            toUInt32(count()) AS n_tickets,
            min(c.opened_at) AS first_opened_at,
            argMin(n.ticket_id, (c.opened_at, n.ticket_id)) AS first_ticket_id,
            argMin(c.topic, (c.opened_at, n.ticket_id)) AS first_topic
        FROM named AS n
        INNER JOIN contacts_now AS c ON n.site = c.site AND n.ticket_id = c.ticket_id
        GROUP BY n.site, n.visitor_id, n.session_id
    )
SELECT
    v.*,
    k.order_status AS order_status,
    k.order_amount_minor AS order_amount_minor,
    k.order_currency AS order_currency,
    k.ordered_at AS ordered_at,
    k.order_delivered_at AS delivered_at,
    k.order_is_late AS is_late,
    t.n_tickets AS n_contacts,
    if(t.n_tickets = 0, NULL, t.first_opened_at) AS first_contact_at,
    t.first_ticket_id AS first_ticket_id,
    t.first_topic AS first_topic,
    l.lapse_id AS outcome_id,
    l.lapse_status AS outcome,
    l.lapse_owner AS owner,
    l.lapse_at AS lapsed_at,
    l.lapse_decided_at AS decided_at,
    l.lapse_contacted_at AS contacted_at,
    l.lapse_recovered_at AS recovered_at,
    l.lapse_returned_at AS returned_at,
    l.lapse_cause AS cause,
    l.lapse_cause_id AS cause_id,
    l.lapse_value_minor AS value_minor
FROM visits AS v
LEFT ANY JOIN
(
    SELECT
        site AS order_site,
        order_id AS known_order_id,
        status AS order_status,
        amount_minor AS order_amount_minor,
        currency AS order_currency,
        toNullable(opened_at) AS ordered_at,
        delivered_at AS order_delivered_at,
        is_late AS order_is_late
    FROM cases_now
) AS k ON v.site = k.order_site AND v.order_id = k.known_order_id
LEFT ANY JOIN said AS t ON v.site = t.said_site AND v.visitor_id = t.said_visitor_id AND v.session_id = t.said_session_id
LEFT ANY JOIN lapses AS l ON v.site = l.lapse_site AND v.visitor_id = l.lapse_visitor_id AND v.session_id = l.lapse_session_id
SETTINGS use_skip_indexes_if_final_exact_mode = 1, join_use_nulls = 0
COMMENT 'the join per customer session: a visit with its customer, order, contacts, outcome and cause; no bots';
