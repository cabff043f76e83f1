-- $4 and $5 hold the seats of all bookings, one after another; $6 and $7 are the first and
-- the last place of each booking's own.
INSERT INTO booking.bookings (
    show_id, booking_id, state, version, customer_id, email, seat_ordinals, seat_prices,
    total, currency, created_at, expires_at, failure_reason, confirmed_at, cancelled_at, failed_at
)
SELECT
    new.show_id, new.booking_id, new.state::booking.booking_state, new.version,
    new.customer_id, new.email,
    ($4::integer[])[new.first_seat:new.last_seat], ($5::bigint[])[new.first_seat:new.last_seat],
    new.total, new.currency, new.created_at, new.expires_at,
    new.failure_reason::booking.failure_reason, new.confirmed_at, new.cancelled_at, new.failed_at
FROM unnest(
    $1::uuid[], $2::uuid[], $3::text[], $6::integer[], $7::integer[], $8::integer[],
    $9::text[], $10::text[], $11::bigint[], $12::text[], $13::timestamptz[], $14::timestamptz[],
    $15::text[], $16::timestamptz[], $17::timestamptz[], $18::timestamptz[]
) AS new (
    show_id, booking_id, state, first_seat, last_seat, version,
    customer_id, email, total, currency, created_at, expires_at,
    failure_reason, confirmed_at, cancelled_at, failed_at
)
