"""Dashboard: who leaves without a word, where, because of what, and what it costs."""

# ruff: noqa: S608 - statements are put together from words of ours alone

from sinks.boards.panel import OF_SITE, Board, Panel, money, tile

_DECIDED = f"{OF_SITE} AND $__timeFilter_ms(began_at) AND status != 'provisional'"

SILENCE = Board(
    "ebbtide-silence",
    "Ebbtide: silent abandonment",
    "Who leaves without a word: where, because of what, whose step it is, and what it costs.",
    (
        tile(
            "Visits that ended in silence",
            f"SELECT count() AS visits FROM outcomes_now WHERE {_DECIDED} AND expectation = 'order_after_commit' AND status = 'silent'",
            "Visits that began to buy, did not order, and of whose customer nobody has heard since. They are decided a day after the visit, so the last day is not full yet.",
        ),
        tile(
            "Of those who began to buy and did not order, share in silence",
            f"SELECT if(count() = 0, NULL, countIf(status = 'silent') / count()) AS share FROM outcomes_now WHERE {_DECIDED} AND expectation = 'order_after_commit'",
            "The others came back in time, or wrote to support. What counts is how it moves.",
            unit="percentunit",
        ),
        tile(
            "Lost in silence",
            f"""
SELECT if(currency = '', 'no currency', currency) AS name, {money("sum(value_minor)")} AS lost
FROM
(
    SELECT currency, value_minor
    FROM outcomes_now
    WHERE {_DECIDED} AND expectation = 'order_after_commit' AND status = 'silent' AND returned_at IS NULL AND value_minor IS NOT NULL
)
GROUP BY currency
ORDER BY lost DESC""",
            "Value of the carts of these visits, by currency. A cart that was left three times is in it three times: question 3 of sinks/queries counts it once.",
            unit="none",
            is_each_row=True,
        ),
        tile(
            "Alerts that are open",
            f"SELECT count() AS open FROM alerts_now WHERE {OF_SITE} AND status = 'open'",
            "Spikes that have not resolved, whenever they opened.",
            limits=((1, "orange"), (5, "red")),
        ),
        Panel(
            "How far visits get",
            "barchart",
            f"""
SELECT
    concat(t.journey, ': ', t.step) AS step,
    countIf(v.device = 'desktop') AS desktop,
    countIf(v.device = 'mobile') AS mobile,
    countIf(v.device NOT IN ('desktop', 'mobile')) AS other
FROM steps_now AS t
INNER JOIN visits_now AS v ON t.site = v.site AND t.visitor_id = v.visitor_id AND t.session_id = v.session_id
WHERE t.instance = 'session' AND v.{OF_SITE} AND $__timeFilter_ms(v.started_at)
GROUP BY t.journey, t.step
ORDER BY t.journey, min(t.step_index)""",
            "Visits of people that reached each step, by device. A visit may skip a step.",
            is_stacked=True,
        ),
        Panel(
            "What became of waits that lapsed",
            "timeseries",
            f"""
SELECT $__timeInterval(began_at) AS time, status, count() AS lapses
FROM outcomes_now
WHERE {OF_SITE} AND $__timeFilter_ms(began_at)
GROUP BY time, status
ORDER BY time, status""",
            "All that was expected of somebody and did not come, by when the wait began. Provisional: not decided yet.",
            is_stacked=True,
        ),
        Panel(
            "Silent rate by step",
            "table",
            f"""
SELECT journey, step, owner, count() AS lapses, countIf(status = 'silent') AS silent, silent / lapses AS silent_rate
FROM outcomes_now
WHERE {_DECIDED}
GROUP BY journey, step, owner
ORDER BY silent DESC
LIMIT 50""",
            "Of what lapsed at a step, how much went by in silence. A rate of few lapses says little: look at the count.",
            units={"silent_rate": "percentunit"},
        ),
        Panel(
            "Silent rate by week and device",
            "timeseries",
            f"""
SELECT toDateTime(toMonday(began_at)) AS time, device, countIf(status = 'silent') / count() AS silent_rate
FROM outcomes_now
WHERE {_DECIDED} AND expectation = 'order_after_commit'
GROUP BY time, device
ORDER BY time, device""",
            "Of visits that began to buy and did not order. The newest week looks better than it will be: a contact decides at once, silence only when its window is over.",
            unit="percentunit",
            to="ebbtide-friction",
        ),
        Panel(
            "Causes by money",
            "table",
            f"""
SELECT cause, owner, currency, count() AS silent, {money("sum(value_minor)")} AS lost
FROM outcomes_now
WHERE {_DECIDED} AND status = 'silent' AND cause != '' AND returned_at IS NULL AND expectation = 'order_after_commit'
GROUP BY cause, owner, currency
ORDER BY currency, lost DESC
LIMIT 50""",
            "The signal, or earlier lapse, that explains best why visits ended in silence, with the value of their carts. Sums of two currencies cannot be compared.",
            units={"lost": "none"},
            to="ebbtide-friction",
        ),
        Panel(
            "Open alerts",
            "table",
            f"""
SELECT opened_at, severity, site, rule, segment, owner, rate, baseline_rate, n, cause, {money("value_minor")} AS at_stake, currency, summary
FROM alerts_now
WHERE {OF_SITE} AND status = 'open'
ORDER BY severity, opened_at DESC
LIMIT 50""",
            "Spikes that have not resolved: the smallest segment that explains each, its usual rate, and the signal whose share rose most.",
        ),
        Panel(
            "Who left last",
            "table",
            f"""
SELECT decided_at, site, step, owner, cause, {money("value_minor")} AS cart, currency, customer_id, visitor_id, session_id
FROM outcomes_now
WHERE {_DECIDED} AND expectation = 'order_after_commit' AND status = 'silent'
ORDER BY decided_at DESC, outcome_id
LIMIT 50""",
            "Examples, the newest first. `ebbtide why --session ID --visitor ID` tells the story of one.",
            units={"cart": "none"},
            width=24,
        ),
    ),
)
