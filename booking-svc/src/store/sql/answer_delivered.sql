-- Does not wait for whoever has the answer locked: it is told again.
WITH heard AS (
    SELECT show_id
    FROM booking.answers
    WHERE show_id = $1 AND proposal = $2
    FOR UPDATE SKIP LOCKED
)
DELETE FROM booking.answers AS a
USING heard
WHERE a.show_id = ANY (ARRAY[heard.show_id])
