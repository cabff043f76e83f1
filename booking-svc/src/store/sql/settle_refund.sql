-- Records the outcome of a refund. A second writer finds it done. If another session has it locked,
-- the refund is repeated under the same key when it is due again. Found by settled_at: by its state
-- it would be looked for in the index of all due refunds.
WITH open AS (
    SELECT show_id, payment_key, refund_key
    FROM booking.refunds
    WHERE show_id = $1 AND payment_key = $2 AND refund_key = $3 AND settled_at IS NULL
    FOR UPDATE SKIP LOCKED
)
UPDATE booking.refunds AS r
SET state = $4::text::booking.refund_state, settled_at = clock_timestamp()
FROM open
WHERE r.show_id = ANY (ARRAY[open.show_id]) AND r.payment_key = open.payment_key
    AND r.refund_key = open.refund_key
