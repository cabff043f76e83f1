-- Locks the bookings in the order of locks, and puts the tombstone $3 in place of whom they are for. Not
-- the version: a booking's version counts the events of its log. What booking-svc remembers of a
-- booking are holds in force, and those are left alone; see customer_in_use.sql.
WITH locked AS MATERIALIZED (
    SELECT b.show_id, b.booking_id
    FROM unnest($1::uuid[], $2::uuid[]) AS wanted (show_id, booking_id)
    JOIN booking.bookings AS b
        ON b.show_id = ANY (ARRAY[wanted.show_id]) AND b.booking_id = wanted.booking_id
    WHERE (b.state <> 'PENDING' OR b.expires_at <= clock_timestamp())
        AND b.payment_state IS DISTINCT FROM 'STARTED'
    ORDER BY wanted.show_id, wanted.booking_id
    FOR UPDATE OF b
)
UPDATE booking.bookings AS b
SET
    customer_id = CASE WHEN b.customer_id IS NOT NULL THEN 'erased-' || $3::uuid::text END,
    email = CASE WHEN b.email IS NOT NULL THEN 'erased-' || $3::uuid::text || '@erased.invalid' END
FROM locked
WHERE b.show_id = ANY (ARRAY[locked.show_id]) AND b.booking_id = locked.booking_id
