SELECT ordinal, status
FROM (
    SELECT
        s.ordinal,
        CASE b.state WHEN 'PENDING' THEN 'HELD' WHEN 'CONFIRMED' THEN 'BOOKED' ELSE 'AVAILABLE' END AS status
    FROM booking.show_seats AS s
    LEFT JOIN booking.bookings_now AS b ON b.show_id = ANY (ARRAY[s.show_id]) AND b.booking_id = s.booking_id
    WHERE s.show_id = $1 AND s.ordinal >= $2
) AS seats
WHERE $3::text IS NULL OR status = $3
ORDER BY ordinal
LIMIT $4
