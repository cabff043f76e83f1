-- Claims attempts whose deadline has passed: other replicas skip them until they are due again,
-- which takes longer each time.
WITH due AS (
    SELECT show_id, payment_key
    FROM booking.payments
    WHERE state = 'STARTED' AND look_at <= now()
    ORDER BY look_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
UPDATE booking.payments AS p
SET
    looks = p.looks + 1,
    look_at = clock_timestamp() + least(2 ^ least(p.looks + 1, 16), $2::float8) * interval '1 s'
FROM due
WHERE p.show_id = ANY (ARRAY[due.show_id]) AND p.payment_key = due.payment_key
RETURNING p.show_id, p.payment_key
