-- now() is the transaction's start: what had lapsed then has lapsed under the lock too, and
-- the index can be asked for it. What another worker or a confirm has in hand is skipped.
SELECT show_id, booking_id, seat_ordinals, version
FROM booking.bookings
WHERE state = 'PENDING' AND expires_at <= now()
ORDER BY expires_at
LIMIT $1
FOR UPDATE SKIP LOCKED
