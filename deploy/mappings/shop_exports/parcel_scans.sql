-- A carrier's log of scans, a row a scan, in as many files as there are: a parcel knows its number, and no order.
--
-- Change the pattern of the files, the columns, and the two lists: the carrier's codes, and what they mean in the words of the contract.
-- A code that is in neither list is passed on as it is, and becomes a reject that names it.
-- The order is found by the parcel's number, which orders.sql tells with order_shipped. One that nobody tells is `unlinked`.
SELECT
    'delivery' AS family,
    'shop' AS site,
    if(event_type = 'delivered', concat(delivery_id, ' delivered'), '') AS event_id,  -- '': a hash of the row
    transform(code,
        ['DATA',          'HUB',        'VAN',              'NOTHOME',        'BOX',                  'POD',       'PROBLEM',   'BACK'],
        ['info_received', 'in_transit', 'out_for_delivery', 'attempt_failed', 'available_for_pickup', 'delivered', 'exception', 'returned_to_sender'],
        code) AS event_type,
    at AS event_at,  -- "2026-03-29T21:00:00+02:00": the zone is in it
    tracking AS delivery_id,
    toDateTime(eta + 1, 'Europe/Berlin') - 1 AS eta_at,
    note AS reason
FROM file('scans/*.ndjson', JSONEachRow, 'tracking String, at DateTime, code String, eta Nullable(Date), note String')
