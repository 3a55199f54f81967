-- Staff are praised, and the process is not: satisfied tickets, and what the same customer said of the whole within 30 days.
WITH said AS
(
    SELECT
        c.site AS said_site,
        c.ticket_id AS said_ticket_id,
        count() AS n_said,
        countIf(a.kind = 'ces' AND a.score <= 3) AS n_hard,
        countIf(a.kind = 'nps' AND a.score <= 6) AS n_against
    FROM contacts_now AS c
    INNER JOIN answers_now AS a ON c.site = a.site AND c.customer_id = a.customer_id
    WHERE c.customer_id != '' AND a.kind IN ('ces', 'nps') AND abs(dateDiff('second', c.opened_at, a.answered_at)) <= 30 * 86400
    GROUP BY said_site, said_ticket_id
)
SELECT
    c.site AS site,
    c.journey AS journey,
    c.owner AS owner,
    c.ticket_id AS id,
    c.customer_id AS customer_id,
    c.opened_at AS at,
    detail != '' AS is_hit,
    multiIf(c.ces <= 3 OR s.n_hard > 0, 'found it hard', s.n_against > 0, 'would not recommend the shop', c.sentiment <= -0.5, 'wrote angrily', '') AS detail
FROM contacts_now AS c
LEFT ANY JOIN said AS s ON c.site = s.said_site AND c.ticket_id = s.said_ticket_id
WHERE c.is_outbound = 0 AND c.csat >= 4 AND (c.ces IS NOT NULL OR c.sentiment IS NOT NULL OR s.n_said > 0)
