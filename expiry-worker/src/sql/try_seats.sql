-- Locks the free ones of the seats, and returns them.
SELECT s.show_id, s.ordinal
FROM unnest($1::uuid[], $2::integer[]) AS held (show_id, ordinal)
JOIN booking.show_seats AS s
    ON s.show_id = ANY (ARRAY[held.show_id]) AND s.ordinal = held.ordinal
FOR UPDATE OF s SKIP LOCKED
