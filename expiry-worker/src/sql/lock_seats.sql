-- In the order in which everyone locks seats.
SELECT
FROM unnest($1::uuid[], $2::integer[]) AS held (show_id, ordinal)
JOIN booking.show_seats AS s USING (show_id, ordinal)
ORDER BY s.show_id, s.ordinal
FOR UPDATE OF s
