-- Claims refunds to be made: other replicas skip them until they are due again, which takes longer
-- each time.
WITH due AS (
    SELECT show_id, payment_key, refund_key
    FROM booking.refunds
    WHERE state = 'DUE' AND look_at <= now()
    ORDER BY look_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
UPDATE booking.refunds AS r
SET
    looks = r.looks + 1,
    look_at = clock_timestamp() + least(2 ^ least(r.looks + 1, 16), $2::float8) * interval '1 s'
FROM due
WHERE r.show_id = ANY (ARRAY[due.show_id]) AND r.payment_key = due.payment_key
    AND r.refund_key = due.refund_key
RETURNING r.show_id, r.payment_key, r.refund_key, r.amount
