-- Help is needed for simple tasks: tickets about how to do something.
SELECT
    site,
    journey,
    owner,
    ticket_id AS id,
    customer_id,
    opened_at AS at,
    topic = 'how_to' AS is_hit,
    if(is_hit = 1, concat('asked how to, and wrote ', toString(1 + n_messages), if(n_messages = 0, ' time', ' times')), '') AS detail
FROM contacts_now
WHERE is_outbound = 0
