-- How long until the next hold can lapse, in seconds.
SELECT extract(epoch FROM min(expires_at) - clock_timestamp())::float8
FROM booking.bookings
WHERE state = 'PENDING'
