-- Small issues that escalate: tickets that began as nothing urgent and about no order that was overdue, and yet go up, or around.
SELECT
    c.site AS site,
    c.journey AS journey,
    c.owner AS owner,
    c.ticket_id AS id,
    c.customer_id AS customer_id,
    c.opened_at AS at,
    detail != '' AS is_hit,
    multiIf(c.is_escalated = 1, 'went up', c.n_transfers >= 2, 'passed on twice', c.n_reopens >= 2, 'opened again twice', '') AS detail
FROM contacts_now AS c
LEFT ANY JOIN
(
    SELECT site, order_id, min(due_at) AS first_due_at
    FROM outcomes_now
    WHERE order_id != '' AND ticket_id = '' AND expectation NOT IN ('order_after_commit', 'next_order')
    GROUP BY site, order_id
) AS l ON c.site = l.site AND c.order_id = l.order_id
WHERE c.is_outbound = 0
    AND lower(c.first_priority) NOT IN ('high', 'urgent', 'critical')
    AND NOT (c.order_id != '' AND l.order_id != '' AND l.first_due_at <= c.opened_at)
