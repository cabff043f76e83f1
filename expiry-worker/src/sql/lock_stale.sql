-- now() is the transaction's start: a hold that had lapsed then has lapsed under the lock too, and
-- it can be used in an index condition. Bookings that another worker or a confirm has locked are
-- skipped, and so are those that could not be failed a moment ago ($4).
SELECT show_id, booking_id, seat_ordinals, version, expires_at, areas IS NOT NULL
FROM booking.bookings
WHERE state = 'PENDING' AND expires_at > $1 AND expires_at <= least($2, now())
    AND booking_id <> ALL ($4::uuid[])
ORDER BY expires_at
LIMIT $3
FOR UPDATE SKIP LOCKED
