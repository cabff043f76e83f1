-- Seats that change hands.
UPDATE booking.show_seats AS s
SET booking_id = new.booking_id
FROM unnest($3::booking.given_seat[]) AS new
WHERE s.show_id = ANY (ARRAY[new.show_id]) AND s.ordinal = new.ordinal
    AND s.booking_id IS NOT DISTINCT FROM new.prior_booking_id
