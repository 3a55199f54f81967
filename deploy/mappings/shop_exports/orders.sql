-- A table of orders, one row an order, with a column for each thing that has happened to it: each becomes an event.
--
-- Change the name of the file, the columns in $$...$$, the time zone (take it out where times are UTC), and the pairs after ARRAY JOIN:
-- a time that your table lacks is a pair less. `approved` is taken for order_confirmed, from which shipping is expected; where yours means
-- that the money was captured, write payment_authorized.
-- The id names the order and what happened, so that an order that stands in two exports is told once.
SELECT
    'order' AS family,
    'shop' AS site,
    concat(order_no, ' ', event_type) AS event_id,
    happened.1 AS event_type,
    happened.2 AS event_at,
    order_no AS order_id,
    -- A guest is known by the e-mail address, of which only a hash is kept; tickets.sql says the same.
    multiIf(customer_no != '', customer_no, email != '', hex(sipHash64(lower(email))), '') AS customer_id,
    toInt64(round(total * 100)) AS amount_minor,
    currency,
    payment AS payment_method,
    country,
    carrier,
    -- The parcel is told when it goes out; without a tracking number it has that of its order. deliveries.sql says the same.
    if(event_type = 'order_shipped', if(tracking_no != '', tracking_no, order_no), '') AS delivery_id,
    -- A date alone begins at midnight, and the promise is kept until the day ends.
    toDateTime(promised_on + 1, 'Europe/Berlin') - 1 AS promised_at
FROM file('orders.csv', CSVWithNames, $$order_no String, customer_no String, email String, placed_at Nullable(DateTime('Europe/Berlin')),
    approved_at Nullable(DateTime('Europe/Berlin')), shipped_at Nullable(DateTime('Europe/Berlin')), delivered_at Nullable(DateTime('Europe/Berlin')),
    promised_on Nullable(Date), cancelled_at Nullable(DateTime('Europe/Berlin')), total Float64, currency String, payment String,
    country String, carrier String, tracking_no String$$)
ARRAY JOIN [('order_placed', placed_at), ('order_confirmed', approved_at), ('order_shipped', shipped_at), ('order_cancelled', cancelled_at)] AS happened
WHERE event_at IS NOT NULL OR event_type = 'order_placed'  -- an order that was never placed is a reject, not nothing
