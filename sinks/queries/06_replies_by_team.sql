-- How fast does each team reply first, and how satisfied are those whom it served?
SELECT
    c.team AS team,
    count() AS n_contacts,
    quantileExactInclusive(0.5)(c.first_reply_ms) / 60000 AS median_minutes_to_reply,
    avg(c.csat) AS csat,
    count(c.csat) AS n_answers
FROM contacts_now AS c
WHERE c.is_outbound = 0
GROUP BY team
ORDER BY median_minutes_to_reply DESC, team
