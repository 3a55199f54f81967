-- How often must customers turn to support: contacts per 100 orders, by week?
WITH
    orders AS
    (
        SELECT site, toMonday(opened_at) AS week, count() AS n_orders
        FROM cases_now WHERE case_type = 'order' GROUP BY site, week
    ),
    tickets AS
    (
        SELECT site, toMonday(opened_at) AS week, count() AS n_tickets
        FROM contacts_now WHERE is_outbound = 0 GROUP BY site, week
    )
SELECT o.site AS site, o.week AS week, o.n_orders AS n_orders, t.n_tickets AS n_contacts, 100 * n_contacts / n_orders AS contacts_per_100
FROM orders AS o
LEFT JOIN tickets AS t ON o.site = t.site AND o.week = t.week
ORDER BY site, week
