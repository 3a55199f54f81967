"""Dashboard: what gets in the way of visits."""

# ruff: noqa: S608 - statements are put together from words of ours alone

from sinks.boards.panel import OF_SITE, Board, Panel, tile

_VISITS = f"{OF_SITE} AND $__timeFilter_ms(started_at)"
_FIRED = f"{OF_SITE} AND $__timeFilter_ms(fired_at)"

FRICTION = Board(
    "ebbtide-friction",
    "Ebbtide: friction",
    "What gets in the way: which signals fire, where, on which release and browser, and how much more often those leave who meet them.",
    (
        tile(
            "Signals a visit",
            f"SELECT if(count() = 0, NULL, sum(n_signals) / count()) AS signals FROM visits_now WHERE {_VISITS}",
            "Friction signals that fired in a visit, in the mean. Bots are left out.",
        ),
        tile(
            "Visits that met any friction",
            f"SELECT if(count() = 0, NULL, countIf(n_signals > 0) / count()) AS share FROM visits_now WHERE {_VISITS}",
            "Share of visits with at least one signal.",
            unit="percentunit",
        ),
        tile(
            "Friction score of the worst tenth",
            f"SELECT if(count() = 0, NULL, quantileExact(0.9)(friction_score)) AS score FROM visits_now WHERE {_VISITS}",
            "One visit in ten has this score or a higher one: 0 none .. 100.",
            unit="none",
        ),
        tile(
            "Visits",
            f"SELECT count() AS visits FROM visits_now WHERE {_VISITS}",
            "Visits of people in the time shown.",
        ),
        Panel(
            "Signals over time",
            "timeseries",
            f"""
SELECT $__timeInterval(fired_at) AS time, signal, count() AS signals
FROM signals_now
WHERE {_FIRED} AND signal IN (SELECT signal FROM signals_now WHERE {_FIRED} GROUP BY signal ORDER BY count() DESC LIMIT 8)
GROUP BY time, signal
ORDER BY time, signal""",
            "The eight most frequent kinds. More visits mean more signals: compare with signals a visit.",
            is_stacked=True,
        ),
        Panel(
            "Signals a visit over time",
            "timeseries",
            f"""
SELECT $__timeInterval(started_at) AS time, sum(n_signals) / count() AS signals_per_visit
FROM visits_now
WHERE {_VISITS}
GROUP BY time
ORDER BY time""",
            "By when the visit began.",
        ),
        Panel(
            "Which friction goes with leaving",
            "table",
            f"""
WITH
    visits AS (SELECT site, visitor_id, session_id, status = 'abandoned' AS has_left FROM visits_now WHERE {_VISITS}),
    (SELECT avg(has_left) FROM visits) AS usual
SELECT f.signal AS signal, count() AS visits, sum(v.has_left) AS left, left / visits AS share_left, share_left / usual AS times_usual
FROM (SELECT DISTINCT site, visitor_id, session_id, signal FROM signals_now WHERE session_id != '') AS f
INNER JOIN visits AS v ON f.site = v.site AND f.visitor_id = v.visitor_id AND f.session_id = v.session_id
GROUP BY signal
ORDER BY left DESC
LIMIT 50""",
            "Of visits that met a signal, the share that was abandoned, and how many times the share of all visits that is. It goes with leaving; whether it is the reason, the outcomes say.",
            units={"share_left": "percentunit"},
        ),
        Panel(
            "Where it happens",
            "table",
            f"""
SELECT page, element, signal, owner, count() AS signals, uniqExact(site, visitor_id, session_id) AS visits
FROM signals_now
WHERE {_FIRED} AND page != ''
GROUP BY page, element, signal, owner
ORDER BY signals DESC
LIMIT 50""",
            "Pages and elements at which most signals fired, and the team that owns the step.",
        ),
        Panel(
            "Friction by step",
            "barchart",
            f"""
SELECT concat(journey, ': ', step) AS step, countIf(device = 'desktop') AS desktop, countIf(device = 'mobile') AS mobile,
    countIf(device NOT IN ('desktop', 'mobile')) AS other
FROM signals_now
WHERE {_FIRED} AND step != ''
GROUP BY journey, signals_now.step
ORDER BY count() DESC
LIMIT 20""",
            "Signals at each step, by device. Signals of orders and tickets have no device: they are in `other`.",
            is_stacked=True,
        ),
        Panel(
            "Releases and browsers",
            "table",
            f"""
SELECT site, segment.1 AS dimension, segment.2 AS value, count() AS visits, sum(n_signals) / visits AS signals_per_visit,
    countIf(status = 'abandoned') / visits AS share_left
FROM visits_now
ARRAY JOIN [('app_version', app_version), ('browser', browser), ('os', os)] AS segment
WHERE {_VISITS}
GROUP BY site, segment
ORDER BY signals_per_visit DESC
LIMIT 100""",
            "Friction by release, browser and system in the time shown. Against the week before: question 10 of sinks/queries.",
            units={"share_left": "percentunit"},
        ),
        Panel(
            "Last signals",
            "table",
            f"""
SELECT fired_at, site, signal, detail, page, element, step, owner, device, browser, app_version, visitor_id, session_id
FROM signals_now
WHERE {_FIRED}
ORDER BY fired_at DESC, signal_id
LIMIT 100""",
            "The newest first, with their evidence.",
            width=24,
        ),
    ),
)
