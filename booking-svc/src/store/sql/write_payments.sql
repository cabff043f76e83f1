-- Writes a batch's payments, if it has any. Runs after their bookings are locked.
-- $1 to $6: attempts that begin. $7 to $10: attempts that have ended. $11 to $15: refunds that
-- are due. $16: the time of the write.
-- An open attempt is found by settled_at IS NULL: by its state it would be looked for in the
-- index of all open attempts.
WITH started AS (
    INSERT INTO booking.payments (
        show_id, payment_key, booking_id, state, amount, currency, started_at, deadline_at, look_at
    )
    SELECT
        new.show_id, new.payment_key, new.booking_id, 'STARTED', new.amount, new.currency,
        $16::timestamptz, new.deadline_at, new.deadline_at
    FROM unnest(
        $1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::timestamptz[]
    ) AS new (show_id, payment_key, booking_id, amount, currency, deadline_at)
), settled AS (
    UPDATE booking.payments AS p
    SET
        state = new.state::booking.payment_state,
        decline_reason = new.decline_reason,
        settled_at = $16::timestamptz
    FROM unnest($7::uuid[], $8::uuid[], $9::text[], $10::text[])
        AS new (show_id, payment_key, state, decline_reason)
    WHERE p.show_id = ANY (ARRAY[new.show_id]) AND p.payment_key = new.payment_key
        AND p.settled_at IS NULL
    RETURNING 1
), due AS (
    INSERT INTO booking.refunds (
        show_id, payment_key, refund_key, booking_id, amount, owed_at, look_at
    )
    SELECT
        new.show_id, new.payment_key, new.refund_key, new.booking_id, new.amount,
        $16::timestamptz, $16::timestamptz
    FROM unnest($11::uuid[], $12::uuid[], $13::uuid[], $14::uuid[], $15::bigint[])
        AS new (show_id, payment_key, refund_key, booking_id, amount)
)
SELECT booking.expect_rows('payments settled', (SELECT count(*) FROM settled), cardinality($8))
