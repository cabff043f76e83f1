WITH failed AS (
    UPDATE booking.bookings AS b
    SET state = 'FAILED', failure_reason = 'EXPIRED', failed_at = b.expires_at, version = b.version + 1,
        places_held_until = NULL
    FROM unnest($1::uuid[], $2::uuid[], $3::integer[]) AS stale (show_id, booking_id, version)
    WHERE b.show_id = ANY (ARRAY[stale.show_id]) AND b.booking_id = stale.booking_id
        AND b.version = stale.version
    RETURNING 1
)
SELECT booking.expect_rows('fail_bookings', (SELECT count(*) FROM failed), cardinality($2))
