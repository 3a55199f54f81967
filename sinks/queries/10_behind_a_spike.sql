-- Which release or browser stands behind a spike: friction a visit on the last day, against the seven days before?
--
-- site: shop, brand or market
-- dimension: app_version or browser
-- value: which one; '': the emitter did not say
-- n_visits: visits of the last 24 hours that are known [visits]
-- signals_per_visit: friction signals in them [signals a visit]
-- before: the same in the seven days before; null: there was no such visit
-- extra_signals: signals beyond what was to be expected: of a release or browser that is new, what was usual at the site; null: nothing is usual yet [signals]
--
-- A release and a browser that most of its visitors use rise together: the one with more extra signals explains more. The last day ends with the last visit that is known.
WITH
    (SELECT max(started_at) FROM visits_now) AS latest,
    visits AS
    (
        SELECT site, app_version, browser, n_signals, started_at > latest - INTERVAL 1 DAY AS is_now
        FROM visits_now
        WHERE started_at > latest - INTERVAL 8 DAY
    ),
    usual AS (SELECT site, toNullable(avg(n_signals)) AS signals_per_visit FROM visits WHERE NOT is_now GROUP BY site)
SELECT
    v.site AS site,
    segment.1 AS dimension,
    segment.2 AS value,
    countIf(is_now) AS n_visits,
    sumIf(n_signals, is_now) / n_visits AS signals_per_visit,
    if(countIf(NOT is_now) = 0, NULL, sumIf(n_signals, NOT is_now) / countIf(NOT is_now)) AS before,
    n_visits * (signals_per_visit - coalesce(before, any(u.signals_per_visit))) AS extra_signals
FROM visits AS v
LEFT ANY JOIN usual AS u ON v.site = u.site
ARRAY JOIN [('app_version', app_version), ('browser', browser)] AS segment
GROUP BY site, segment
HAVING n_visits > 0
ORDER BY extra_signals DESC, signals_per_visit DESC, site, dimension, value
