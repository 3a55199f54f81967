-- How many parcels come late, and by how much, by carrier and country?
--
-- carrier: carrier (the last)
-- country: country of delivery [ISO 3166-1 alpha-2]
-- n_delivered: parcels with a promise that came [parcels]
-- n_late: those that came after it [parcels]
-- late_rate: n_late / n_delivered; null: none came [0 .. 1]
-- median_hours_late: of those that came late; null: none did [h]
-- n_overdue: parcels that have not come, and should have by the last delivery that is known [parcels]
--
-- A parcel that never comes is in no rate: look at n_overdue as well.
-- Parcels without a promised date are left out.
WITH (SELECT max(delivered_at) FROM deliveries_now) AS latest
SELECT
    carrier,
    country,
    countIf(delivered_at IS NOT NULL) AS n_delivered,
    countIf(late_ms > 0) AS n_late,
    if(n_delivered = 0, NULL, n_late / n_delivered) AS late_rate,
    if(n_late = 0, NULL, quantileExactInclusiveIf(0.5)(late_ms, late_ms > 0) / 3600000) AS median_hours_late,
    countIf(delivered_at IS NULL AND promised_at < latest) AS n_overdue
FROM deliveries_now
WHERE promised_at IS NOT NULL
GROUP BY carrier, country
ORDER BY late_rate DESC, n_overdue DESC, carrier, country
