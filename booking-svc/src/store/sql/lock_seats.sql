-- $1, $2: seats to sell. $3, $4: bookings, locked before, whose seats may be freed.
-- The owner is read without a lock: if its hold has ended, the order is decided again together
-- with one that locks the owner. An owner that took the seat while we waited
-- for its lock is null here.
-- MATERIALIZED is needed: after such a wait PostgreSQL checks the row again against the one
-- of `touched` that it was joined with, but if that UNION ALL were flattened into the query,
-- against its first row only, and the seat would be missing from the answer.
WITH touched (show_id, ordinal) AS MATERIALIZED (
    SELECT wanted.show_id, wanted.ordinal
    FROM unnest($1::uuid[], $2::integer[]) AS wanted (show_id, ordinal)
    UNION ALL
    SELECT b.show_id, unnest(b.seat_ordinals)
    FROM unnest($3::uuid[], $4::uuid[]) AS freed (show_id, booking_id)
    JOIN booking.bookings AS b
        ON b.show_id = ANY (ARRAY[freed.show_id]) AND b.booking_id = freed.booking_id
)
SELECT s.show_id, s.ordinal, s.booking_id, o.state::text, o.expires_at
FROM touched
JOIN booking.show_seats AS s
    ON s.show_id = ANY (ARRAY[touched.show_id]) AND s.ordinal = touched.ordinal
LEFT JOIN booking.bookings AS o
    ON o.show_id = ANY (ARRAY[s.show_id]) AND o.booking_id = s.booking_id
ORDER BY touched.show_id, touched.ordinal
FOR UPDATE OF s
