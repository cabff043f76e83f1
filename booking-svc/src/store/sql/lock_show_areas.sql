-- Before areas are rewritten: the expiry worker gives places back without the sale's lock.
SELECT FROM booking.show_areas WHERE show_id = $1 ORDER BY area FOR UPDATE
