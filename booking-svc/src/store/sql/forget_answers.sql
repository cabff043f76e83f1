-- Answers that nobody waits for any more: $2 is the proposal that is pending, if one is.
DELETE FROM booking.answers WHERE show_id = $1 AND proposal IS DISTINCT FROM $2
