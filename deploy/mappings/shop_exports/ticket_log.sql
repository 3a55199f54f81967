-- The log of a help desk, a row for each thing that was done about a ticket. It knows the ticket and nothing else of it; the rest is in tickets.sql.
--
-- Change the name of the file, the columns, and the words for what was done: (who, what), and what it is in the words of the contract.
-- What is not listed is passed on as it is, and becomes a reject that names it; what is no event is named in the last line.
SELECT
    'ticket' AS family,
    'shop' AS site,
    transform(concat(actor, ' ', action),
        ['customer comment', 'agent comment', 'bot comment', 'agent assigned', 'agent moved', 'agent escalated', 'customer asked_for_human',
         'agent joined', 'customer left_chat', 'agent solved', 'customer reopened', 'agent closed'],
        ['customer_message', 'agent_reply', 'bot_reply', 'assigned', 'transferred', 'escalated', 'human_requested',
         'human_joined', 'customer_left', 'solved', 'reopened', 'closed'],
        action) AS event_type,
    at AS event_at,
    ticket_no AS ticket_id,
    if(actor = 'agent', actor_name, '') AS agent_id,
    team,
    text
FROM file('ticket_log.csv', CSVWithNames, 'ticket_no String, at DateTime, actor String, actor_name String, action String, team String, text String')
WHERE action NOT IN ('created')  -- tickets.sql tells it
