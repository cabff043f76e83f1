SELECT show_id, revision
FROM booking.sales
WHERE state = 'CANCELLED' AND fully_cancelled_at IS NULL AND show_id > $1
ORDER BY show_id
LIMIT $2
