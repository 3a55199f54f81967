-- How often must customers turn to support: contacts per 100 orders, by week?
--
-- site: shop, brand or market
-- week: Monday of the week, UTC
-- n_orders: orders that were placed in it [orders]
-- n_contacts: tickets that customers opened in it, whatever they are about [tickets]
-- contacts_per_100: 100 * n_contacts / n_orders; null: there was no order
--
-- The contacts of a week are not all about the orders of that week. Add `topic` to see which ones they are.
SELECT
    site,
    week,
    sum(is_order) AS n_orders,
    sum(1 - is_order) AS n_contacts,
    if(n_orders = 0, NULL, 100 * n_contacts / n_orders) AS contacts_per_100
FROM
(
    SELECT site, toMonday(opened_at) AS week, 1 AS is_order FROM cases_now WHERE case_type = 'order'
    UNION ALL
    SELECT site, toMonday(opened_at) AS week, 0 AS is_order FROM contacts_now WHERE is_outbound = 0
)
GROUP BY site, week
ORDER BY site, week
