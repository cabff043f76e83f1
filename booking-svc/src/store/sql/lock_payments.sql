-- Locks the payments that a batch writes or refunds, except those locked by other sessions: $1, $2
-- attempts that end, $3, $4 bookings, locked before, that may be refunded.
SELECT p.payment_key
FROM (
    SELECT ended.show_id, ended.payment_key
    FROM unnest($1::uuid[], $2::uuid[]) AS ended (show_id, payment_key)
    UNION
    SELECT b.show_id, b.payment_key
    FROM unnest($3::uuid[], $4::uuid[]) AS freed (show_id, booking_id)
    JOIN booking.bookings AS b
        ON b.show_id = ANY (ARRAY[freed.show_id]) AND b.booking_id = freed.booking_id
    WHERE b.payment_key IS NOT NULL
) AS touched
JOIN booking.payments AS p
    ON p.show_id = ANY (ARRAY[touched.show_id]) AND p.payment_key = touched.payment_key
ORDER BY p.show_id, p.payment_key
FOR NO KEY UPDATE OF p SKIP LOCKED
