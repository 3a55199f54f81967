-- Would customers recommend the shop, by month, and does a late parcel change it?
SELECT
    toStartOfMonth(a.answered_at) AS month,
    c.n_late_deliveries > 0 AS had_late_parcel,
    count() AS n_answers,
    100 * (countIf(a.score >= 9) - countIf(a.score <= 6)) / n_answers AS nps
FROM answers_now AS a
LEFT ANY JOIN customers_now AS c ON a.site = c.site AND a.customer_id = c.customer_id
WHERE a.kind = 'nps'
GROUP BY month, had_late_parcel
ORDER BY month, had_late_parcel
