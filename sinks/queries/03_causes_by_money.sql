-- What costs most money: the causes of what was lost in silence, and who owns the step?
--
-- cause: signal, or earlier lapse, that explains it best
-- owner: team that owns the step at which it was lost
-- currency: currency of lost_minor; sums of two currencies cannot be compared
-- n_lost: carts, orders and next orders that were lost
-- n_unpriced: those of them whose value is not known
-- lost_minor: value of the others [minor units of currency]
--
-- Money counts once, however often it was left: of one cart, order or visit the first lapse that something explains. The next order is other money than the last.
-- Lapses that nothing explains are left out, and so is who came back later.
SELECT cause, owner, currency, count() AS n_lost, countIf(value_minor IS NULL) AS n_unpriced, sum(value_minor) AS lost_minor
FROM
(
    SELECT o.cause AS cause, o.owner AS owner, o.currency AS currency, o.value_minor AS value_minor
    FROM outcomes_now AS o
    LEFT ANY JOIN (SELECT site, visitor_id, session_id, cart_id FROM sessions_now WHERE cart_id != '') AS s
        ON o.site = s.site AND o.visitor_id = s.visitor_id AND o.session_id = s.session_id
    WHERE o.status = 'silent' AND o.cause != '' AND o.returned_at IS NULL
    ORDER BY o.value_minor IS NULL, o.lapsed_at, o.outcome_id
    LIMIT 1 BY
        o.site,
        o.expectation = 'next_order',
        multiIf(
            o.order_id != '', ('order', o.order_id),
            s.cart_id != '', ('cart', s.cart_id),
            o.session_id != '', (o.visitor_id, o.session_id),
            ('', o.outcome_id))
)
GROUP BY cause, owner, currency
ORDER BY currency = '', currency, lost_minor DESC, cause, owner
