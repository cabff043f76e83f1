-- Skips an answer that another transaction has locked: it is sent again.
WITH delivered AS (
    SELECT show_id
    FROM booking.answers
    WHERE show_id = $1 AND proposal = $2
    FOR UPDATE SKIP LOCKED
)
DELETE FROM booking.answers AS a
USING delivered
WHERE a.show_id = ANY (ARRAY[delivered.show_id])
