-- Skips a sale that another session has locked: the next pass marks it.
WITH done AS (
    SELECT show_id
    FROM booking.sales
    WHERE show_id = $1 AND revision = $2 AND state = 'CANCELLED' AND fully_cancelled_at IS NULL
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE booking.sales AS s
SET fully_cancelled_at = clock_timestamp()
FROM done
WHERE s.show_id = ANY (ARRAY[done.show_id])
