-- Do buyers whose parcel was late come back within 90 days, compared with the others?
WITH
    buyers AS
    (
        SELECT site, customer_id, argMin(is_late, (opened_at, order_id)) AS was_late
        FROM cases_now
        WHERE case_type = 'order' AND customer_id != '' AND cancelled_at IS NULL
        GROUP BY site, customer_id
    ),
    latest AS (SELECT max(last_seen_at) AS at FROM customers_now)
-- Who had not 90 days yet to come back is no answer.
SELECT
    b.was_late AS was_late,
    count() AS n_buyers,
    countIf(c.second_order_at <= c.first_order_at + INTERVAL 90 DAY) AS n_back,
    n_back / n_buyers AS back_rate
FROM buyers AS b
INNER JOIN customers_now AS c ON b.site = c.site AND b.customer_id = c.customer_id
WHERE c.first_order_at <= (SELECT at FROM latest) - INTERVAL 90 DAY
GROUP BY was_late
ORDER BY was_late
