-- Bookings of which more than the state has changed, or that have values that most never have. Runs
-- after the statement of the batch, which has inserted the new ones.
-- $1 to $4: the bookings, by the version that was locked or made, and their new version.
-- $5 to $7 hold their seats, one after another; $8 and $9 are the first and the last index of
--     each booking's own. So do $21, and $22, the last index, and $23, the number, for the orphans.
WITH rewritten AS (
    UPDATE booking.bookings AS b
    SET
        version = new.version,
        seat_ordinals = ($5::integer[])[new.first_seat:new.last_seat],
        seat_prices = ($6::bigint[])[new.first_seat:new.last_seat],
        seat_tiers = ($7::text[])[new.first_seat:new.last_seat],
        total = new.total,
        released = new.released,
        refund_due = new.refund_due,
        expires_at = new.expires_at,
        payment_reference = new.payment_reference,
        areas = new.areas::jsonb,
        places_held_until = CASE
            WHEN new.state = 'PENDING' AND new.areas IS NOT NULL THEN new.expires_at
        END,
        state = new.state::booking.booking_state,
        failure_reason = new.failure_reason::booking.failure_reason,
        confirmed_at = new.confirmed_at,
        cancelled_at = new.cancelled_at,
        failed_at = new.failed_at,
        cancel_reason = new.cancel_reason::booking.cancel_reason,
        orphans = nullif(
            ($21::integer[])[new.last_orphan - new.orphan_count + 1:new.last_orphan], '{}'
        ),
        payment_key = new.payment_key,
        payment_state = new.payment_state::booking.payment_state
    FROM unnest(
        $1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $8::integer[], $9::integer[],
        $10::bigint[], $11::bigint[], $12::bigint[], $13::timestamptz[], $14::text[],
        $15::text[], $16::text[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[],
        $20::text[], $22::integer[], $23::integer[], $24::text[], $25::uuid[], $26::text[]
    ) AS new (
        show_id, booking_id, prior_version, version, first_seat, last_seat, total, released,
        refund_due, expires_at, payment_reference, state, failure_reason, confirmed_at,
        cancelled_at, failed_at, cancel_reason, last_orphan, orphan_count, areas,
        payment_key, payment_state
    )
    WHERE b.show_id = ANY (ARRAY[new.show_id]) AND b.booking_id = new.booking_id
        AND b.version = new.prior_version
    RETURNING 1
)
SELECT booking.expect_rows('bookings rewritten', (SELECT count(*) FROM rewritten), cardinality($2))
