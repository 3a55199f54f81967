-- Left alone after the sale: something was due from the shop about an order and never came, or only after the customer had asked.
-- A row an order and owner: every owner who ever left an order of the site alone is held against all of its orders.
WITH
    alone AS
    (
        SELECT o.site AS site, o.order_id AS order_id, o.journey AS journey, o.owner AS owner, argMin(o.expectation, (o.due_at, o.outcome_id)) AS expectation
        FROM outcomes_now AS o
        INNER JOIN cases_now AS k ON o.site = k.site AND o.order_id = k.order_id
        INNER JOIN sites_now AS n ON o.site = n.site
        WHERE k.case_type = 'order' AND (o.status IN ('silent', 'contacted') OR o.contacted_at < o.recovered_at) AND o.due_at <= n.last_at AND o.ticket_id = ''
            AND o.expectation NOT IN ('order_after_commit', 'next_order', 'retry_after_payment_failure', 'answer_after_quote')
        GROUP BY o.site, o.order_id, o.journey, o.owner
    ),
    owners AS (SELECT site, groupUniqArray((toString(journey), toString(owner))) AS places FROM alone GROUP BY site),
    orders AS
    (
        SELECT
            k.site AS site, k.order_id AS order_id, k.customer_id AS customer_id, k.opened_at AS opened_at,
            arrayJoin(if(empty(w.places), [('order', '')], w.places)) AS place
        FROM cases_now AS k
        INNER JOIN sites_now AS n ON k.site = n.site
        LEFT ANY JOIN owners AS w ON k.site = w.site
        WHERE k.case_type = 'order' AND k.cancelled_at IS NULL AND (k.closed_at IS NOT NULL OR k.opened_at <= n.last_at - INTERVAL 7 DAY)
    )
SELECT
    d.site AS site,
    d.place.1 AS journey,
    d.place.2 AS owner,
    d.order_id AS id,
    d.customer_id AS customer_id,
    d.opened_at AS at,
    detail != '' AS is_hit,
    toString(a.expectation) AS detail
FROM orders AS d
LEFT ANY JOIN alone AS a ON d.site = a.site AND d.order_id = a.order_id AND d.place.1 = a.journey AND d.place.2 = a.owner
