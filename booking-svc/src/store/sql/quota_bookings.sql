-- Runs after the locks of the customers: nobody adds to their places now. $1 to $4: whom bookings
-- are counted for, one of the three set for each. Plain comparisons: the parts of a LATERAL cannot
-- be the outer side of a join.
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
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
    AS holder (show_id, linked_customer_id, customer_id, email)
CROSS JOIN LATERAL (
    SELECT *
    FROM booking.bookings AS linked
    WHERE linked.linked_customer_id = holder.linked_customer_id
        AND linked.show_id = holder.show_id
    UNION ALL
    SELECT *
    FROM booking.bookings AS own
    WHERE own.customer_id = holder.customer_id
        AND own.show_id = holder.show_id AND own.linked_customer_id IS NULL
    UNION ALL
    SELECT *
    FROM booking.bookings AS own
    WHERE own.email = holder.email
        AND own.show_id = holder.show_id AND own.linked_customer_id IS NULL
) AS b
WHERE b.state IN ('PENDING', 'CONFIRMED')
