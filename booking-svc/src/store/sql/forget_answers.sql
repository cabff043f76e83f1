-- Deletes answers to other proposals than $2, the pending one, if there is one.
DELETE FROM booking.answers WHERE show_id = $1 AND proposal IS DISTINCT FROM $2
