-- Would customers recommend the shop, by month, and does a late parcel change it?
--
-- month: month of the answer, UTC
-- had_late_parcel: 1: an order of the customer was late by then; null: nobody knows who answered [0 or 1]
-- n_answers: answers [answers]
-- nps: share of 9 and 10 less that of 0 to 6, in points [-100 .. 100]
--
-- 0 in had_late_parcel also stands for those who have never ordered. Every answer counts, also several of one customer.
-- With 100 answers the score is known to about 16 points either way.
WITH late AS
    (
        SELECT site, customer_id, min(promised_at) AS first_promise
        FROM cases_now
        WHERE is_late = 1 AND customer_id != ''
        GROUP BY site, customer_id
    )
SELECT
    toStartOfMonth(a.answered_at) AS month,
    if(a.customer_id = '', NULL, ifNull(l.first_promise < a.answered_at, 0)) AS had_late_parcel,
    count() AS n_answers,
    100 * (countIf(a.score >= 9) - countIf(a.score <= 6)) / n_answers AS nps
FROM answers_now AS a
LEFT ANY JOIN late AS l ON a.site = l.site AND a.customer_id = l.customer_id
WHERE a.kind = 'nps'
GROUP BY month, had_late_parcel
ORDER BY month, had_late_parcel
