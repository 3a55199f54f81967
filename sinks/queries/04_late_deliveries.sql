-- How many parcels come late, and by how much, by carrier and country?
SELECT
    carrier,
    country,
    count() AS n_parcels,
    countIf(late_ms > 0) AS n_late,
    n_late / n_parcels AS late_rate,
    quantileExactInclusiveIf(0.5)(late_ms, late_ms > 0) / 3600000 AS median_hours_late
FROM deliveries_now
WHERE delivered_at IS NOT NULL AND late_ms IS NOT NULL
GROUP BY carrier, country
ORDER BY late_rate DESC, carrier, country
