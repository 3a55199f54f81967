-- How fast does each team reply first, and how satisfied are those whom it served?
--
-- team: team that serves, as said last
-- n_contacts: tickets that customers opened [tickets]
-- n_unanswered: those without any reply so far [tickets]
-- median_minutes_to_reply: opening to first reply, all hours counted; null: there was none [min]
-- median_minutes_to_human: opening to first reply of a person; null: there was none [min]
-- csat: mean satisfaction; null: nobody answered [1 .. 5]
-- n_answers: answers behind it [answers]
--
-- A mean of few answers says little, and who is dissatisfied answers more often. Tickets that a bot answered alone have no time to a human.
SELECT
    team,
    count() AS n_contacts,
    countIf(first_reply_ms IS NULL) AS n_unanswered,
    if(n_unanswered = n_contacts, NULL, quantileExactInclusive(0.5)(first_reply_ms) / 60000) AS median_minutes_to_reply,
    if(count(first_human_reply_at) = 0, NULL, quantileExactInclusive(0.5)(dateDiff('millisecond', opened_at, first_human_reply_at)) / 60000)
        AS median_minutes_to_human,
    avg(csat) AS csat,
    count(contacts_now.csat) AS n_answers
FROM contacts_now
WHERE is_outbound = 0
GROUP BY team
ORDER BY median_minutes_to_reply DESC, team
