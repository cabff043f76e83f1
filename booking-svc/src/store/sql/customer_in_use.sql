-- A booking of the person, by its names $1 to $3, that forbids an erasure. $4: the tombstone; what has it
-- is erased already. $5: whether tickets of shows that have not started may be erased.
SELECT b.booking_id, b.state = 'CONFIRMED' AS is_upcoming
FROM (
    SELECT * FROM booking.bookings WHERE customer_id = $1
    UNION ALL
    SELECT * FROM booking.bookings WHERE email = $2
    UNION ALL
    SELECT * FROM booking.bookings WHERE linked_customer_id = $3
) AS b
WHERE coalesce(b.customer_id, b.email)
    NOT IN ('erased-' || $4::uuid::text, 'erased-' || $4::uuid::text || '@erased.invalid')
    AND (
        b.state = 'PENDING' AND b.expires_at > clock_timestamp()
        OR b.payment_state = 'STARTED'
        OR b.state = 'CONFIRMED' AND NOT $5::boolean AND (
            SELECT s.start_at > clock_timestamp()
            FROM booking.sales AS s
            WHERE s.show_id = b.show_id
        )
    )
LIMIT 1
