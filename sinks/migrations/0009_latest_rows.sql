-- What dashboards and BI read: the latest version of every row, without the retracted ones.
-- Settings are named because their defaults differ between servers and sessions: without join_use_nulls = 0 a session that
-- has join_use_nulls on would read NULL where these views promise ''.

CREATE OR REPLACE VIEW identities_now AS
SELECT * FROM identities FINAL WHERE is_deleted = 0
SETTINGS use_skip_indexes_if_final_exact_mode = 1
COMMENT 'a visitor known to be a customer: latest versions';

-- An anonymous session belongs to the next login of its visitor: the first link at or after its start. ASOF JOIN finds one or
-- none, so that no row is multiplied.
CREATE OR REPLACE VIEW sessions_now AS
SELECT s.* REPLACE (if(s.customer_id = '', i.customer_id, s.customer_id) AS customer_id)
FROM (SELECT * FROM sessions FINAL WHERE is_deleted = 0) AS s
ASOF LEFT JOIN (SELECT site, visitor_id, linked_at, customer_id FROM identities FINAL WHERE is_deleted = 0) AS i
    ON s.site = i.site AND s.visitor_id = i.visitor_id AND s.started_at <= i.linked_at
SETTINGS use_skip_indexes_if_final_exact_mode = 1, join_use_nulls = 0
COMMENT 'a visit: latest versions; an anonymous one has the customer of the next login of its visitor';

-- Steps and signals take it from their session. Only sessions of visitors who ever were linked are read for that, by the
-- sorting key; IN may name a visitor too many (it reads retracted links too), the joins do not.
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

CREATE OR REPLACE VIEW signals_now AS
SELECT t.* REPLACE (if(t.customer_id = '', v.customer_id, t.customer_id) AS customer_id)
FROM (SELECT * FROM signals FINAL WHERE is_deleted = 0) AS t
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
COMMENT 'one friction signal that fired: latest versions; of an anonymous session with the customer of the next login';

CREATE OR REPLACE VIEW outcomes_now AS
SELECT * FROM outcomes FINAL WHERE is_deleted = 0
SETTINGS use_skip_indexes_if_final_exact_mode = 1
COMMENT 'one lapse, something expected that did not come: latest versions';

CREATE OR REPLACE VIEW rollups_now AS
SELECT * FROM rollups FINAL WHERE is_deleted = 0
SETTINGS use_skip_indexes_if_final_exact_mode = 1
COMMENT 'one count of one interval and segment, absolute: latest versions';

CREATE OR REPLACE VIEW dead_letters_now AS
SELECT * FROM dead_letters FINAL WHERE is_deleted = 0
SETTINGS use_skip_indexes_if_final_exact_mode = 1
COMMENT 'one event that could not be used: latest versions';

CREATE OR REPLACE VIEW events_now AS
SELECT * FROM events FINAL WHERE is_deleted = 0
SETTINGS use_skip_indexes_if_final_exact_mode = 1
COMMENT 'one applied event of any family: latest versions';
