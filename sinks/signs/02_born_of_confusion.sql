-- Tickets born of confusion: the customer was lost on the page within a day before the first word.
WITH
    asked AS
    (
        SELECT
            site, ticket_id, opened_at,
            arrayJoin(arrayFilter(who -> who.2 != '', [('customer', customer_id), ('visitor', visitor_id)])) AS who
        FROM contacts_now
        WHERE is_outbound = 0
    ),
    lost AS
    (
        SELECT
            site, signal, fired_at,
            arrayJoin(arrayFilter(who -> who.2 != '', [('customer', customer_id), ('visitor', visitor_id)])) AS who
        FROM signals_now
        WHERE signal IN
        (
            'form_error_loop', 'form_restarted', 'form_abandoned', 'search_dead_end', 'filter_dead_end', 'step_ping_pong',
            'page_thrashing', 'option_flipping', 'help_in_checkout', 'login_failed_repeatedly', 'login_wall'
        )
    ),
    confused AS
    (
        SELECT a.site AS confused_site, a.ticket_id AS confused_ticket_id, argMax(l.signal, (l.fired_at, l.signal)) AS last_signal
        FROM asked AS a
        INNER JOIN lost AS l ON a.site = l.site AND a.who = l.who
        WHERE l.fired_at <= a.opened_at AND l.fired_at >= a.opened_at - INTERVAL 1 DAY
        GROUP BY confused_site, confused_ticket_id
    )
SELECT
    c.site AS site,
    c.journey AS journey,
    c.owner AS owner,
    c.ticket_id AS id,
    c.customer_id AS customer_id,
    c.opened_at AS at,
    detail != '' AS is_hit,
    toString(f.last_signal) AS detail
FROM contacts_now AS c
LEFT ANY JOIN confused AS f ON c.site = f.confused_site AND c.ticket_id = f.confused_ticket_id
WHERE c.is_outbound = 0 AND (c.customer_id != '' OR c.visitor_id != '')
