-- The same table of orders once more: that a parcel arrived is an event of the delivery.
--
-- Change what you changed in orders.sql. The id is that of the carrier's own scan in parcel_scans.sql: what both tell is told once.
-- Without a column of the kind leave this file out: what is not known to be delivered counts as not delivered only where
-- the shop tells deliveries at all.
SELECT
    'delivery' AS family,
    'shop' AS site,
    concat(delivery_id, ' delivered') AS event_id,
    'delivered' AS event_type,
    delivered_at AS event_at,
    if(tracking_no != '', tracking_no, order_no) AS delivery_id,
    order_no AS order_id,
    carrier,
    country,
    toDateTime(promised_on + 1, 'Europe/Berlin') - 1 AS promised_at
FROM file('orders.csv', CSVWithNames, $$order_no String, customer_no String, email String, placed_at Nullable(DateTime('Europe/Berlin')),
    approved_at Nullable(DateTime('Europe/Berlin')), shipped_at Nullable(DateTime('Europe/Berlin')), delivered_at Nullable(DateTime('Europe/Berlin')),
    promised_on Nullable(Date), cancelled_at Nullable(DateTime('Europe/Berlin')), total Float64, currency String, payment String,
    country String, carrier String, tracking_no String$$)
WHERE delivered_at IS NOT NULL
