-- Of what was expected and did not come, how much went by in silence, by step, device and week?
--
-- journey: journey of the step
-- step: step at which it lapsed
-- device: device of the visit; '': a parcel, an order or a ticket was waited for
-- week: Monday of the week in which the wait began, UTC
-- n_lapses: waits that lapsed and are decided [lapses]
-- n_silent: those after which the customer neither came back in time nor contacted support [lapses]
-- silent_rate: n_silent / n_lapses [0 .. 1]
--
-- It counts waits, not people: of one parcel several things can fail to come.
-- A contact decides at once and silence only when its window is over, so the newest week looks better than it will be.
SELECT
    journey,
    step,
    device,
    toMonday(began_at) AS week,
    count() AS n_lapses,
    countIf(status = 'silent') AS n_silent,
    n_silent / n_lapses AS silent_rate
FROM outcomes_now
WHERE status != 'provisional'
GROUP BY journey, step, device, week
ORDER BY week, silent_rate DESC, journey, step, device
