-- How many days from a request to its quote, by company, and how many requests have none?
--
-- site: shop, brand or market
-- account_id: company; '': nobody said
-- n_requests: requests for quotation [requests]
-- n_without_quote: those that have had no quote so far, withdrawn ones too [requests]
-- median_days: request to first quote, of those that have one; null: none has [d]
--
-- Nights and weekends count. A company that waits without a quote is in no median: look at n_without_quote as well.
SELECT
    site,
    account_id,
    count() AS n_requests,
    countIf(quoted_at IS NULL) AS n_without_quote,
    if(n_without_quote = n_requests, NULL, quantileExactInclusive(0.5)(dateDiff('second', opened_at, quoted_at)) / 86400) AS median_days
FROM cases_now
WHERE case_type = 'rfq'
GROUP BY site, account_id
ORDER BY median_days DESC, n_without_quote DESC, site, account_id
