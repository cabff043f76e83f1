-- Notes what became of a refund. Whoever comes second finds it done. By its state it would be
-- looked for in the index of all that are due.
UPDATE booking.refunds
SET state = $4::text::booking.refund_state, settled_at = clock_timestamp()
WHERE show_id = $1 AND payment_key = $2 AND refund_key = $3 AND settled_at IS NULL
