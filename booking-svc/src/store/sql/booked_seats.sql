-- The ordinals of $2 that have a live booking, at most $3.
SELECT s.ordinal
FROM booking.show_seats AS s
JOIN booking.bookings AS b ON b.show_id = ANY (ARRAY[s.show_id]) AND b.booking_id = s.booking_id
WHERE s.show_id = $1
    AND s.ordinal = ANY ($2::integer[])
    AND (b.state = 'CONFIRMED' OR b.state = 'PENDING' AND b.expires_at > clock_timestamp())
ORDER BY s.ordinal
LIMIT $3
