UPDATE booking.sales
SET wound_up_at = clock_timestamp()
WHERE show_id = $1 AND revision = $2 AND state = 'CANCELLED' AND wound_up_at IS NULL
