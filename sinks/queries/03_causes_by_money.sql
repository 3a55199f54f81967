-- What costs most money: the causes of what was lost in silence, and who owns the step?
SELECT cause, owner, currency, count() AS n_silent, sum(value_minor) AS lost_minor
FROM outcomes_now
WHERE status = 'silent' AND cause != '' AND returned_at IS NULL
GROUP BY cause, owner, currency
ORDER BY lost_minor DESC, cause, owner
