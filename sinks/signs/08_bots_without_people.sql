-- Bots with no human behind: a bot replied, no person ever did, and it did not help.
SELECT
    c.site AS site,
    c.journey AS journey,
    c.owner AS owner,
    c.ticket_id AS id,
    c.customer_id AS customer_id,
    c.opened_at AS at,
    detail != '' AS is_hit,
    multiIf(
        c.is_bot_only = 0, '',
        c.status = 'left', 'gave up waiting',
        c.status = 'open', 'not solved',
        c.n_reopens > 0, 'opened again',
        c.csat <= 2, 'not satisfied',
        ''
    ) AS detail
FROM contacts_now AS c
INNER JOIN sites_now AS n ON c.site = n.site
WHERE c.is_outbound = 0 AND c.n_bot_replies > 0 AND c.opened_at <= n.last_at - INTERVAL 1 DAY
