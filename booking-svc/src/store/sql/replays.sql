-- Appended to SELECT, booking_columns.sql and a comma.
-- Runs after the locks: an earlier call with the same request id has committed by now.
    t.request_id,
    t.fingerprint,
    t.version AS version_then,
    t.to_state::text AS state_then,
    replaced.prior::text
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (show_id, request_id)
JOIN booking.transitions AS t
    ON t.show_id = ANY (ARRAY[wanted.show_id]) AND t.request_id = wanted.request_id
JOIN booking.bookings AS b
    ON b.show_id = ANY (ARRAY[t.show_id]) AND b.booking_id = t.booking_id
-- The values of the booking then, if more than its state has changed since.
LEFT JOIN LATERAL (
    SELECT later.prior
    FROM booking.transitions AS later
    WHERE later.show_id = t.show_id AND later.booking_id = t.booking_id
        AND later.version > t.version AND later.prior IS NOT NULL
    ORDER BY later.version
    LIMIT 1
) AS replaced ON true
