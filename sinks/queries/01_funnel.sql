-- How many visits reach each step of a journey, by device?
--
-- journey: journey of the step
-- device: device of the visit
-- step: step, in the order of the journey
-- n_visits: visits of people that reached it [visits]
-- share: of the visits at the step of this journey and device that most reached [0 .. 1]
--
-- A visit may skip a step, so a later one can have more visits than an earlier one.
-- Steps of orders and other documents (`instance = 'case'`) have no device and are left out; bots are, too.
SELECT
    t.journey AS journey,
    v.device AS device,
    t.step AS step,
    count() AS n_visits,
    n_visits / max(n_visits) OVER (PARTITION BY journey, device) AS share
FROM steps_now AS t
INNER JOIN visits_now AS v ON t.site = v.site AND t.visitor_id = v.visitor_id AND t.session_id = v.session_id
WHERE t.instance = 'session'
GROUP BY journey, device, step
ORDER BY journey, device, min(t.step_index), step
