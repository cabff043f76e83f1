SELECT show_id, revision
FROM booking.sales
WHERE state = 'CANCELLED' AND wound_up_at IS NULL AND show_id > $1
ORDER BY show_id
LIMIT $2
