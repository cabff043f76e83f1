-- The seats of a show without an owner, or whose owner's hold has ended.
SELECT coalesce(array_agg(s.ordinal), '{}')
FROM booking.show_seats AS s
LEFT JOIN booking.bookings AS b ON b.show_id = ANY (ARRAY[s.show_id]) AND b.booking_id = s.booking_id
WHERE s.show_id = $1
    AND (s.booking_id IS NULL OR b.state = 'PENDING' AND b.expires_at <= clock_timestamp())
