-- now() is the transaction's start: what had lapsed then has lapsed under the lock too, and
-- the index can be asked for it. What another worker or a confirm has in hand is skipped, and so
-- is what could not be failed a moment ago ($4).
SELECT
    show_id, booking_id, seat_ordinals, version, expires_at, areas IS NOT NULL,
    extract(epoch FROM now() - expires_at)::float8
FROM booking.bookings
WHERE state = 'PENDING' AND expires_at > $1 AND expires_at <= least($2, now())
    AND booking_id <> ALL ($4::uuid[])
ORDER BY expires_at
LIMIT $3
FOR UPDATE SKIP LOCKED
