-- Bookings that have changed.
UPDATE booking.bookings AS b
SET
    state = new.state::booking.booking_state,
    failure_reason = new.failure_reason::booking.failure_reason,
    version = new.version,
    confirmed_at = new.confirmed_at + (SELECT later FROM moment),
    cancelled_at = new.cancelled_at + (SELECT later FROM moment),
    failed_at = new.failed_at,
    refund_due = new.refund_due,
    cancel_reason = new.cancel_reason::booking.cancel_reason,
    -- It has ended, or is sold.
    places_held_until = NULL
FROM unnest($2::booking.changed_booking[]) AS new
WHERE b.show_id = ANY (ARRAY[new.show_id]) AND b.booking_id = new.booking_id
    AND b.version = new.prior_version
    -- Not by =, for which there is an index.
    AND b.expires_at IS NOT DISTINCT FROM new.expires_at
RETURNING cardinality($5) = 0 OR b.expires_at > clock_timestamp() AS in_time
