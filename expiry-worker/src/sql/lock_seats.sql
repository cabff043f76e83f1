-- In the order in which everyone locks seats.
SELECT
FROM unnest($1::uuid[], $2::integer[]) AS held (show_id, ordinal)
JOIN booking.show_seats AS s ON s.show_id = ANY (ARRAY[held.show_id]) AND s.ordinal = held.ordinal
ORDER BY held.show_id, held.ordinal
FOR UPDATE OF s
