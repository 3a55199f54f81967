-- How many visits reach each step of a journey, by device?
SELECT t.journey AS journey, v.device AS device, t.step AS step, count() AS n_visits
FROM steps_now AS t
INNER JOIN visits_now AS v ON t.site = v.site AND t.visitor_id = v.visitor_id AND t.session_id = v.session_id
WHERE t.instance = 'session'
GROUP BY journey, device, step, t.step_index
ORDER BY journey, device, t.step_index
