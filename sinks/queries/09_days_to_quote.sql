-- How many days from a request to its quote, by company, and how many requests have none?
SELECT
    account_id,
    count() AS n_requests,
    countIf(quoted_at IS NULL) AS n_without_quote,
    quantileExactInclusiveIf(0.5)(dateDiff('second', opened_at, quoted_at), quoted_at IS NOT NULL) / 86400 AS median_days
FROM cases_now
WHERE case_type = 'rfq'
GROUP BY account_id
ORDER BY median_days DESC, account_id
