-- The public REES46 "eCommerce behavior data from multi category store", one CSV file a month:
-- event_time, event_type (view, cart, purchase, remove_from_cart), product_id, category_id, category_code, brand, price, user_id, user_session.
--
--   ebbtide replay FOLDER --map deploy/mappings/rees46 --check       looks at the first rows
--   ebbtide replay FOLDER --map deploy/mappings/rees46               runs
--
-- FOLDER is where the CSV files are. The structure is given, so that one ragged row is a reject and not the end of the file.
-- There is no event id: two rows that say the same are one event. Prices are in dollars; a row tells the price of one product,
-- and nothing tells what the cart as a whole is worth, so that what is at stake is understated.
SELECT
    'clickstream' AS family,
    'rees46' AS site,
    user_id AS visitor_id,
    user_session AS session_id,
    event_time AS event_at,  -- "2019-10-01 00:00:00 UTC"
    transform(row.event_type, ['view', 'cart'], ['view_item', 'add_to_cart'], row.event_type) AS event_type,
    product_id,
    -- row.event_type: without the name of the table it would be the event_type of the line above
    if(row.event_type IN ('cart', 'purchase'), toInt64(round(price * 100)), NULL) AS amount_minor,
    'USD' AS currency
FROM file('*.csv', CSVWithNames, 'event_time DateTime, event_type String, product_id UInt64, category_id UInt64,
    category_code String, brand String, price Float64, user_id UInt64, user_session String') AS row
