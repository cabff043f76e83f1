SELECT
    b.booking_id,
    b.state::text,
    b.failure_reason::text,
    b.version,
    b.customer_id,
    b.email,
    b.seat_ordinals,
    b.seat_prices,
    b.total,
    b.currency,
    b.created_at,
    b.expires_at,
    b.confirmed_at,
    b.cancelled_at,
    b.failed_at,
    b.refund_due,
    b.cancel_reason::text,
    b.seat_tiers,
    b.released,
    b.payment_reference,
    b.areas::text,
    b.linked_customer_id,
    b.orphans,
    b.payment_key,
    b.payment_state::text
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (show_id, booking_id)
JOIN booking.bookings AS b
    ON b.show_id = ANY (ARRAY[wanted.show_id]) AND b.booking_id = wanted.booking_id
ORDER BY wanted.show_id, wanted.booking_id
FOR UPDATE OF b
