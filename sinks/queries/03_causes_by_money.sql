-- What costs most money: the causes of what was lost in silence, and who owns the step?
SELECT cause, owner, currency, count() AS n_silent, sum(value_minor) AS lost_minor
FROM
(
    -- Whatever failed about one order or visit, its money counts once: for the first lapse that something explains.
    -- The next order is other money than the last.
    SELECT cause, owner, currency, value_minor
    FROM outcomes_now
    WHERE status = 'silent' AND cause != '' AND returned_at IS NULL
    ORDER BY value_minor IS NULL, lapsed_at, outcome_id
    LIMIT 1 BY
        site,
        expectation = 'next_order',
        multiIf(order_id != '', ('order', order_id), session_id != '', (visitor_id, session_id), ('', outcome_id))
)
GROUP BY cause, owner, currency
ORDER BY lost_minor DESC, cause, owner
