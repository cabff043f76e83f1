WITH updated AS (
    UPDATE booking.bookings AS b
    SET
        state = new.state::booking.booking_state,
        failure_reason = new.failure_reason::booking.failure_reason,
        version = new.version,
        confirmed_at = new.confirmed_at,
        cancelled_at = new.cancelled_at,
        failed_at = new.failed_at
    FROM unnest(
        $1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::integer[],
        $7::timestamptz[], $8::timestamptz[], $9::timestamptz[]
    ) AS new (
        show_id, booking_id, prior_version, state, failure_reason, version,
        confirmed_at, cancelled_at, failed_at
    )
    WHERE b.show_id = ANY (ARRAY[new.show_id]) AND b.booking_id = new.booking_id
        AND b.version = new.prior_version
    RETURNING 1
)
SELECT booking.expect_rows('update_bookings', (SELECT count(*) FROM updated), cardinality($2))
