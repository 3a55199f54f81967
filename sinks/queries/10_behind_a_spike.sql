-- Which release or browser stands behind a spike: friction a visit on the last day, against the seven days before?
WITH
    (SELECT max(started_at) FROM visits_now) AS latest,
    visits AS
    (
        SELECT app_version, browser, n_signals, started_at > latest - INTERVAL 1 DAY AS is_now
        FROM visits_now
        WHERE started_at > latest - INTERVAL 8 DAY
    )
SELECT
    segment.1 AS dimension,
    segment.2 AS value,
    countIf(is_now) AS n_visits,
    sumIf(n_signals, is_now) / n_visits AS signals_per_visit,
    if(countIf(NOT is_now) = 0, NULL, sumIf(n_signals, NOT is_now) / countIf(NOT is_now)) AS before,
    signals_per_visit - ifNull(before, 0) AS more
FROM visits
ARRAY JOIN [('app_version', app_version), ('browser', browser)] AS segment
GROUP BY segment
HAVING n_visits > 0
ORDER BY more DESC, dimension, value
