-- Of what was expected and did not come, how much went by in silence, by step, device and week?
SELECT
    journey,
    step,
    device,
    toMonday(began_at) AS week,
    count() AS n_lapses,
    countIf(status = 'silent') AS n_silent,
    n_silent / n_lapses AS silent_rate
FROM outcomes_now
WHERE status != 'provisional'
GROUP BY journey, step, device, week
ORDER BY week, silent_rate DESC, journey, step, device
