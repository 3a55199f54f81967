-- A person is hard to reach: tickets whose customer gave up waiting, or had no person's reply in time.
SELECT
    c.site AS site,
    c.journey AS journey,
    c.owner AS owner,
    c.ticket_id AS id,
    c.customer_id AS customer_id,
    c.opened_at AS at,
    detail != '' AS is_hit,
    multiIf(c.status = 'left', 'gave up waiting', l.ticket_id != '', 'no person in time', '') AS detail
FROM contacts_now AS c
LEFT ANY JOIN
(
    SELECT o.site AS site, o.ticket_id AS ticket_id
    FROM outcomes_now AS o
    INNER JOIN sites_now AS n ON o.site = n.site
    WHERE o.expectation = 'first_human_reply_after_ticket' AND o.ticket_id != '' AND o.due_at <= n.last_at
) AS l ON c.site = l.site AND c.ticket_id = l.ticket_id
WHERE c.is_outbound = 0
