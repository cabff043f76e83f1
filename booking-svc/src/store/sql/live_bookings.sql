-- A page of a show's bookings by key, ended ones included: so a page costs the same however few
-- live ones are left.
SELECT booking_id, state IN ('PENDING', 'CONFIRMED') AS live, cardinality(seat_ordinals) AS seats
FROM booking.bookings
WHERE show_id = $1 AND booking_id > $2
ORDER BY booking_id
LIMIT $3
