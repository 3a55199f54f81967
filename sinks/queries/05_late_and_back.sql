-- Do buyers whose parcel was late come back within 90 days, compared with the others?
--
-- was_late: 1: the first order of the buyer came after the promise, or has not come and the promise is past [0 or 1]
-- n_buyers: buyers whose first order was that long ago [buyers]
-- n_back: those who ordered again in the 90 days after it came [buyers]
-- back_rate: n_back / n_buyers [0 .. 1]
--
-- The 90 days begin when the order came, or should have come: an order placed while the parcel was still on its way says nothing about the delay.
-- Who has not had 90 days yet is left out, and so is who is not known by a customer id, or whose first order has neither come nor a promise. The first order is the first in the tables.
WITH
    (SELECT max(last_seen_at) FROM customers_now) AS latest,
    orders AS
    (
        SELECT site, customer_id, order_id, opened_at, is_late, ifNull(delivered_at, promised_at) AS known_at
        FROM cases_now
        WHERE case_type = 'order' AND customer_id != '' AND cancelled_at IS NULL
    ),
    buyers AS
    (
        SELECT site, customer_id, argMin((is_late, known_at), (opened_at, order_id)) AS first, groupArray(opened_at) AS ordered_at
        FROM orders
        GROUP BY site, customer_id
    )
SELECT
    first.1 AS was_late,
    count() AS n_buyers,
    countIf(arrayExists(at -> at > first.2 AND at <= first.2 + INTERVAL 90 DAY, ordered_at)) AS n_back,
    n_back / n_buyers AS back_rate
FROM buyers
WHERE first.2 <= latest - INTERVAL 90 DAY
GROUP BY was_late
ORDER BY was_late
