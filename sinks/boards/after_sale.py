"""Dashboard: orders, parcels, requests and tickets; what was expected of whom, and what came of it."""

# ruff: noqa: S608 - statements are put together from words of ours alone

from sinks.boards.panel import OF_SITE, Board, Panel, tile

AFTER_SALE = Board(
    "ebbtide-after-sale",
    "Ebbtide: after the sale",
    "What happens once somebody has ordered or asked: late parcels, what was expected of whom and did not come, contacts, replies, and who comes back.",
    (
        tile(
            "Parcels that came late",
            f"SELECT if(count() = 0, NULL, countIf(late_ms > 0) / count()) AS share FROM deliveries_now WHERE {OF_SITE} AND $__timeFilter_ms(delivered_at) AND late_ms IS NOT NULL",
            "Of those that came in the time shown and had a promise.",
            unit="percentunit",
            limits=((0.05, "orange"), (0.1, "red")),
        ),
        tile(
            "Parcels that should have come",
            f"SELECT count() AS parcels FROM deliveries_now WHERE {OF_SITE} AND delivered_at IS NULL AND promised_at IS NOT NULL AND promised_at < (SELECT max(delivered_at) FROM deliveries_now)",
            "Not here, and promised before the last delivery that is known.",
            limits=((1, "orange"),),
        ),
        tile(
            "Contacts per 100 orders",
            f"""
SELECT if(o.n = 0, NULL, 100 * c.n / o.n) AS contacts
FROM (SELECT count() AS n FROM contacts_now WHERE {OF_SITE} AND $__timeFilter_ms(opened_at) AND is_outbound = 0) AS c
CROSS JOIN (SELECT count() AS n FROM cases_now WHERE {OF_SITE} AND $__timeFilter_ms(opened_at) AND case_type = 'order') AS o""",
            "Tickets that customers opened for each 100 orders that were placed in the same time.",
            unit="none",
        ),
        tile(
            "Would recommend (NPS)",
            f"SELECT if(count() = 0, NULL, 100 * (countIf(score >= 9) - countIf(score <= 6)) / count()) AS nps FROM answers_now WHERE {OF_SITE} AND $__timeFilter_ms(answered_at) AND kind = 'nps'",
            "Share of 9 and 10 less that of 0 to 6: -100 .. 100. Of few answers it says little.",
            unit="none",
        ),
        Panel(
            "Deliveries",
            "timeseries",
            f"""
SELECT $__timeInterval(delivered_at) AS time, multiIf(late_ms IS NULL, 'no promise', late_ms > 0, 'late', 'in time') AS kept, count() AS parcels
FROM deliveries_now
WHERE {OF_SITE} AND $__timeFilter_ms(delivered_at)
GROUP BY time, kept
ORDER BY time, kept""",
            "Parcels by when they came.",
            is_stacked=True,
        ),
        Panel(
            "Late by carrier and country",
            "table",
            f"""
SELECT carrier, country, count() AS parcels, countIf(late_ms > 0) AS late, late / parcels AS late_rate,
    if(late = 0, NULL, quantileExactInclusiveIf(0.5)(late_ms, late_ms > 0)) AS median_late
FROM deliveries_now
WHERE {OF_SITE} AND $__timeFilter_ms(delivered_at) AND late_ms IS NOT NULL
GROUP BY carrier, country
ORDER BY late DESC, parcels DESC
LIMIT 100""",
            "Of parcels with a promise that came in the time shown. Those that never came are in the figure above.",
            units={"late_rate": "percentunit", "median_late": "ms"},
            limits=((0.05, "orange"), (0.1, "red")),
            limits_of=("late_rate",),
        ),
        Panel(
            "What was expected and did not come, by owner",
            "table",
            f"""
SELECT owner, expectation, count() AS lapses, countIf(status = 'silent') AS silent, countIf(status = 'contacted') AS contacted,
    countIf(status = 'recovered') AS recovered, countIf(status = 'provisional') AS provisional
FROM outcomes_now
WHERE {OF_SITE} AND $__timeFilter_ms(began_at) AND expectation != 'order_after_commit'
GROUP BY owner, expectation
ORDER BY lapses DESC
LIMIT 100""",
            "Waits that lapsed, by the team that had to act; pipeline/expectations/README.md says what each means. Recovered: it came after all, late.",
        ),
        Panel(
            "Lapses by owner over time",
            "timeseries",
            f"""
SELECT $__timeInterval(began_at) AS time, owner, count() AS lapses
FROM outcomes_now
WHERE {OF_SITE} AND $__timeFilter_ms(began_at) AND expectation != 'order_after_commit'
GROUP BY time, owner
ORDER BY time, owner""",
            "By when the wait began.",
            is_stacked=True,
        ),
        Panel(
            "First reply and satisfaction by team",
            "table",
            f"""
SELECT if(team = '', '(nobody)', team) AS by, count() AS contacts, countIf(first_reply_ms IS NULL) AS unanswered,
    if(unanswered = contacts, NULL, quantileExactInclusive(0.5)(first_reply_ms)) AS median_reply, avg(csat) AS mean_csat, count(contacts_now.csat) AS answers
FROM contacts_now
WHERE {OF_SITE} AND $__timeFilter_ms(opened_at) AND is_outbound = 0
GROUP BY by
ORDER BY contacts DESC""",
            "Tickets that customers opened in the time shown. A mean of few answers says little.",
            units={"median_reply": "ms", "mean_csat": "none"},
        ),
        Panel(
            "What contacts are about",
            "barchart",
            f"""
SELECT if(topic = '', '(not said)', topic) AS about, countIf(is_escalated = 0) AS contacts, countIf(is_escalated = 1) AS escalated
FROM contacts_now
WHERE {OF_SITE} AND $__timeFilter_ms(opened_at) AND is_outbound = 0
GROUP BY about
ORDER BY count() DESC
LIMIT 20""",
            "Tickets that customers opened, by topic; `how_to` is help with a simple task.",
            is_stacked=True,
        ),
        Panel(
            "Requests for quotation",
            "table",
            f"""
SELECT site, if(account_id = '', '(not said)', account_id) AS company, count() AS requests, countIf(quoted_at IS NULL) AS without_quote,
    if(without_quote = requests, NULL, quantileExactInclusive(0.5)(dateDiff('second', opened_at, quoted_at))) AS median_wait,
    countIf(status = 'accepted') AS accepted
FROM cases_now
WHERE {OF_SITE} AND $__timeFilter_ms(opened_at) AND case_type = 'rfq'
GROUP BY site, company
ORDER BY without_quote DESC, median_wait DESC
LIMIT 100""",
            "By company: how long until the first quote, and how many have none.",
            units={"median_wait": "s"},
        ),
        Panel(
            "Customers by loyalty",
            "barchart",
            f"""
SELECT loyalty_state, count() AS customers, countIf(n_silent > 0) AS of_these_met_silence
FROM customers_now
WHERE {OF_SITE} AND loyalty_state != ''
GROUP BY loyalty_state
ORDER BY customers DESC""",
            "All customers, whatever the time shown: new, active, at risk (most of the wait for the next order is over), lapsed, returned.",
        ),
    ),
    since="now-30d",
)
