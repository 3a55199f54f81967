-- Friction a step, beside that of the session. Rows from before have none; a replay fills them.
ALTER TABLE steps
    ADD COLUMN IF NOT EXISTS `n_signals` UInt32 COMMENT 'friction signals that fired at it [signals]' AFTER `engaged_ms`,
    ADD COLUMN IF NOT EXISTS `friction_score` Float64 COMMENT 'friction met at it: 0 none .. 100 [points]' AFTER `n_signals`;

-- SELECT * of a view is frozen at its creation.
CREATE OR REPLACE VIEW steps_now AS
SELECT t.* REPLACE (if(t.customer_id = '', v.customer_id, t.customer_id) AS customer_id)
FROM (SELECT * FROM steps FINAL WHERE is_deleted = 0) AS t
LEFT ANY JOIN
(
    SELECT s.site AS site, s.visitor_id AS visitor_id, s.session_id AS session_id, i.customer_id AS customer_id
    FROM
    (
        SELECT site, visitor_id, session_id, started_at FROM sessions FINAL
        WHERE is_deleted = 0 AND (site, visitor_id) IN (SELECT site, visitor_id FROM identities)
    ) AS s
    ASOF INNER JOIN (SELECT site, visitor_id, linked_at, customer_id FROM identities FINAL WHERE is_deleted = 0) AS i
        ON s.site = i.site AND s.visitor_id = i.visitor_id AND s.started_at <= i.linked_at
) AS v ON t.site = v.site AND t.visitor_id = v.visitor_id AND t.session_id = v.session_id
SETTINGS use_skip_indexes_if_final_exact_mode = 1, join_use_nulls = 0
COMMENT 'one step of one session or case: latest versions; of an anonymous session with the customer of the next login';
