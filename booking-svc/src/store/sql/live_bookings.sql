-- A page of a show's bookings by key, those that have ended among them: so that a page costs
-- the same however few are left.
SELECT booking_id, state IN ('PENDING', 'CONFIRMED') AS live, cardinality(seat_ordinals) AS seats
FROM booking.bookings
WHERE show_id = $1 AND booking_id > $2
ORDER BY booking_id
LIMIT $3
