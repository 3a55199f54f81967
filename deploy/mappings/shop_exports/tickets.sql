-- The tickets of a help desk, one row a ticket: that it was opened, and how it was rated.
--
-- Change the names of the files, the columns and the lists. A help desk knows people by e-mail, the shop by number: customers.csv has both, and a ticket
-- of nobody in it gets the hash that orders.sql gives a guest. Where tickets have a customer's number, take that, and the join out.
-- What was done about a ticket is in ticket_log.sql.
SELECT
    'ticket' AS family,
    'shop' AS site,
    concat(ticket_no, ' ', event_type) AS event_id,
    happened.1 AS event_type,
    happened.2 AS event_at,
    ticket_no AS ticket_id,
    order_no AS order_id,
    coalesce(customers.customer_no, if(tickets.email != '', hex(sipHash64(lower(tickets.email))), NULL)) AS customer_id,
    customers.company AS account_id,
    transform(via, ['web', 'voice'], ['form', 'phone'], via) AS channel,
    category AS topic,
    language,
    if(event_type = 'ticket_opened', subject, '') AS text,
    if(event_type = 'csat_answered', transform(rating, ['good', 'bad'], [5, 1], NULL), NULL) AS score
FROM file('tickets.csv', CSVWithNames, 'ticket_no String, created_at Nullable(DateTime), email String, order_no String, via String, category String,
    language String, subject String, rating String, rated_at Nullable(DateTime)') AS tickets
LEFT ANY JOIN file('customers.csv', CSVWithNames, 'customer_no String, email String, company String') AS customers
    ON nullIf(lower(tickets.email), '') = lower(customers.email)  -- who has none is nobody in common
ARRAY JOIN [('ticket_opened', created_at), ('csat_answered', rated_at)] AS happened
WHERE event_at IS NOT NULL OR event_type = 'ticket_opened'
