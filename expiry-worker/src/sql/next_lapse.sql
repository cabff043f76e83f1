-- How long until the next hold can lapse, in seconds; looks at the next thousand bookings.
SELECT extract(epoch FROM min(expires_at) - clock_timestamp())::float8
FROM (
    SELECT state, expires_at
    FROM booking.bookings
    WHERE expires_at > $1
    ORDER BY expires_at
    LIMIT 1000
) AS next
WHERE state = 'PENDING'
