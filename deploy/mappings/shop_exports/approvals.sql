-- A log of approvals, a row for each time somebody was asked or has decided; several steps of one approval are a chain.
--
-- Change the name of the file, the columns, the time zone and the two lists. `person` must be whoever decides, also in the row in which he is asked.
-- Orders and approvals have their numbers in one field: where both count from 1, write concat('approval ', approval_no).
-- Without a due date a decision is due in two days (setting of decision_after_approval_request).
SELECT
    'order' AS family,
    'shop' AS site,
    'approval' AS document_type,
    transform(action,
        ['asked',              'approved',         'refused',           'taken_back'],
        ['approval_requested', 'approval_granted', 'approval_rejected', 'approval_withdrawn'],
        action) AS event_type,
    at AS event_at,
    approval_no AS order_id,
    quote_no AS parent_id,
    company AS account_id,
    step,
    person AS assignee_id,
    toDateTime(due_on + 1, 'Europe/Berlin') - 1 AS due_at,
    toInt64(round(total * 100)) AS amount_minor,
    currency
FROM file('approvals.csv', CSVWithNames, $$approval_no String, at DateTime('Europe/Berlin'), action String, step String, person String,
    due_on Nullable(Date), quote_no String, company String, total Float64, currency String$$)
