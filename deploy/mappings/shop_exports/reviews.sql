-- A table of reviews, one row for each order that was asked about: an answer is a csat_answered of that order, 1 to 5.
--
-- Change the name of the file, the columns, the time zone and the language. Stars out of ten: intDiv(score + 1, 2).
-- A row without an answer is no event: nobody has said anything. Whose order it was is found in the orders.
SELECT
    'ticket' AS family,
    'shop' AS site,
    concat('review ', review_no) AS event_id,
    'csat_answered' AS event_type,
    answered_at AS event_at,
    order_no AS order_id,
    score,
    text,
    'en' AS language
FROM file('reviews.csv', CSVWithNames, $$review_no String, order_no String, score Nullable(Int32), text String,
    asked_at Nullable(DateTime('Europe/Berlin')), answered_at Nullable(DateTime('Europe/Berlin'))$$)
WHERE answered_at IS NOT NULL
