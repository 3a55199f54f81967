-- Replies are slow or do not help: no reply in time, opened again, the second about the same, or unsatisfied. Who gave up waiting is sign 6.
SELECT
    c.site AS site,
    c.journey AS journey,
    c.owner AS owner,
    c.ticket_id AS id,
    c.customer_id AS customer_id,
    c.opened_at AS at,
    detail != '' AS is_hit,
    multiIf(
        l.ticket_id != '', 'no reply in time',
        c.n_reopens > 0, 'opened again',
        r.ticket_id != '', 'asked again about the same',
        c.csat <= 2, 'not satisfied',
        ''
    ) AS detail
FROM contacts_now AS c
LEFT ANY JOIN
(
    SELECT o.site AS site, o.ticket_id AS ticket_id
    FROM outcomes_now AS o
    INNER JOIN sites_now AS n ON o.site = n.site
    WHERE o.expectation = 'first_reply_after_ticket' AND o.ticket_id != '' AND o.due_at <= n.last_at
) AS l ON c.site = l.site AND c.ticket_id = l.ticket_id
LEFT ANY JOIN
(
    SELECT site, ticket_id FROM signals_now WHERE signal = 'repeat_contact' AND ticket_id != ''
) AS r ON c.site = r.site AND c.ticket_id = r.ticket_id
WHERE c.is_outbound = 0 AND c.status != 'left'
