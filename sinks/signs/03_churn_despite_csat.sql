-- Churn in spite of good CSAT: customers who were satisfied last, and whether they ordered again once their wait for the next order had ended.
WITH
    satisfied AS
    (
        SELECT
            site,
            customer_id,
            argMax(csat, (opened_at, ticket_id)) AS last_csat,
            argMax(journey, (opened_at, ticket_id)) AS its_journey,
            argMax(owner, (opened_at, ticket_id)) AS its_owner,
            max(opened_at) AS asked_at
        FROM contacts_now
        WHERE is_outbound = 0 AND customer_id != '' AND csat IS NOT NULL
        GROUP BY site, customer_id
        HAVING last_csat >= 4
    ),
    ended AS
    (
        SELECT site, customer_id, opened_at AS ended_at, 0 AS is_lost
        FROM cases_now
        WHERE case_type = 'order' AND cancelled_at IS NULL AND customer_id != ''
        UNION ALL
        SELECT site, customer_id, due_at, 1
        FROM outcomes_now
        WHERE expectation = 'next_order' AND status IN ('silent', 'contacted') AND returned_at IS NULL AND customer_id != ''
    )
SELECT
    s.site AS site,
    any(s.its_journey) AS journey,
    any(s.its_owner) AS owner,
    s.customer_id AS id,
    s.customer_id AS customer_id,
    max(e.ended_at) AS at,
    toUInt8(argMax(e.is_lost, (e.ended_at, e.is_lost))) AS is_hit,
    if(is_hit = 1, 'did not order again', '') AS detail
FROM satisfied AS s
INNER JOIN ended AS e ON s.site = e.site AND s.customer_id = e.customer_id
INNER JOIN sites_now AS n ON s.site = n.site
WHERE e.ended_at > s.asked_at AND e.ended_at <= n.last_at
GROUP BY s.site, s.customer_id
