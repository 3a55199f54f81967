-- Buying is exhausting: visits that began to buy, and how much friction they met. A row a visit and owner: friction counts for whom it was met at.
WITH
    bought AS
    (
        SELECT site, visitor_id, session_id, journey
        FROM steps_now
        WHERE instance = 'session'
        GROUP BY site, visitor_id, session_id, journey
        HAVING max(is_commit) = 1
    ),
    met AS
    (
        SELECT site, visitor_id, session_id, journey, owner, sum(n_signals) AS n_met
        FROM steps_now
        WHERE instance = 'session'
        GROUP BY site, visitor_id, session_id, journey, owner
    )
SELECT
    m.site AS site,
    m.journey AS journey,
    m.owner AS owner,
    concat(m.visitor_id, '/', m.session_id) AS id,
    v.customer_id AS customer_id,
    v.started_at AS at,
    v.friction_score >= 50 AND m.n_met > 0 AS is_hit,
    if(is_hit = 1, concat(toString(m.n_met), if(m.n_met = 1, ' signal', ' signals'), ' here, ', toString(round(v.friction_score)), ' points in all'), '') AS detail
FROM met AS m
INNER JOIN bought AS b ON m.site = b.site AND m.visitor_id = b.visitor_id AND m.session_id = b.session_id AND m.journey = b.journey
INNER JOIN sessions_now AS v ON m.site = v.site AND m.visitor_id = v.visitor_id AND m.session_id = v.session_id
WHERE v.is_bot = 0 AND v.status IN ('abandoned', 'converted')
