-- Bookings that are new.
INSERT INTO booking.bookings (
    show_id, booking_id, state, version, customer_id, email, seat_ordinals, seat_prices,
    total, currency, created_at, expires_at, seat_tiers, confirmed_at, areas, places_held_until,
    linked_customer_id
)
SELECT
    new.show_id, new.booking_id, new.state::booking.booking_state, 1, new.customer_id, new.email,
    new.seat_ordinals, new.seat_prices, new.total, new.currency,
    $7::timestamptz + made.later, new.expires_at + made.later,
    new.seat_tiers, new.confirmed_at + made.later, new.areas::jsonb,
    CASE WHEN new.areas IS NOT NULL AND new.state = 'PENDING' THEN
        new.expires_at + made.later
    END,
    new.linked_customer_id
FROM made, unnest($1::booking.new_booking[]) AS new
