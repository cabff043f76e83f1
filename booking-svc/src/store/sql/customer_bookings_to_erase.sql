-- The next bookings of the person, by its names $1 to $3, that an erasure begun at $5 has not changed yet:
-- at most $8, by id, after $6 and $7. $4: the tombstone.
SELECT DISTINCT found.show_id, found.booking_id
FROM (
    (
        SELECT show_id, booking_id
        FROM booking.bookings
        WHERE customer_id = $1 AND (show_id, booking_id) > ($6, $7) AND created_at <= $5
        ORDER BY show_id, booking_id
        LIMIT $8
    )
    UNION ALL
    (
        SELECT show_id, booking_id
        FROM booking.bookings
        WHERE email = $2 AND (show_id, booking_id) > ($6, $7) AND created_at <= $5
        ORDER BY show_id, booking_id
        LIMIT $8
    )
    UNION ALL
    (
        SELECT show_id, booking_id
        FROM booking.bookings
        WHERE linked_customer_id = $3 AND (show_id, booking_id) > ($6, $7) AND created_at <= $5
            AND coalesce(customer_id, email)
                NOT IN ('erased-' || $4::uuid::text, 'erased-' || $4::uuid::text || '@erased.invalid')
        ORDER BY show_id, booking_id
        LIMIT $8
    )
) AS found
ORDER BY found.show_id, found.booking_id
LIMIT $8
