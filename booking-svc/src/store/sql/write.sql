-- Everything that a batch writes, as one statement: each statement costs, whatever its size.
-- $1 to $11, $36 to $38, $40: bookings that are new. $3, $4 and $36 hold the seats of all of them,
--     one after another; $5 and $6 are the first and the last place of each one's own. Nobody
--     can name a booking in the batch that makes it, so they are as they were made.
-- $40 is empty unless one of them has places, so that it costs the others nothing.
-- $12 to $20, $34, $35: bookings that have changed, by the version that was locked.
-- $21 to $24: seats that have changed hands, by the owner that was locked.
-- $25 to $32, $39: the log. $33: the time of it all.
WITH inserted AS (
    INSERT INTO booking.bookings (
        show_id, booking_id, state, version, customer_id, email, seat_ordinals, seat_prices,
        total, currency, created_at, expires_at, seat_tiers, confirmed_at, areas, places_held_until,
        linked_customer_id
    )
    SELECT
        new.show_id, new.booking_id, new.state::booking.booking_state, 1, new.customer_id, new.email,
        ($3::integer[])[new.first_seat:new.last_seat], ($4::bigint[])[new.first_seat:new.last_seat],
        new.total, new.currency, $33::timestamptz, new.expires_at,
        ($36::text[])[new.first_seat:new.last_seat], new.confirmed_at, new.areas::jsonb,
        CASE WHEN new.areas IS NOT NULL AND new.state = 'PENDING' THEN new.expires_at END,
        new.linked_customer_id
    FROM unnest(
        $1::uuid[], $2::uuid[], $5::integer[], $6::integer[], $7::text[], $8::text[],
        $9::bigint[], $10::text[], $11::timestamptz[], $37::text[], $38::timestamptz[], $40::text[],
        $41::uuid[]
    ) AS new (
        show_id, booking_id, first_seat, last_seat, customer_id, email, total, currency, expires_at,
        state, confirmed_at, areas, linked_customer_id
    )
), changed AS (
    UPDATE booking.bookings AS b
    SET
        state = new.state::booking.booking_state,
        failure_reason = new.failure_reason::booking.failure_reason,
        version = new.version,
        confirmed_at = new.confirmed_at,
        cancelled_at = new.cancelled_at,
        failed_at = new.failed_at,
        refund_due = new.refund_due,
        cancel_reason = new.cancel_reason::booking.cancel_reason,
        -- It has ended, or is sold.
        places_held_until = NULL
    FROM unnest(
        $12::uuid[], $13::uuid[], $14::integer[], $15::text[], $16::text[], $17::integer[],
        $18::timestamptz[], $19::timestamptz[], $20::timestamptz[], $34::bigint[], $35::text[]
    ) AS new (
        show_id, booking_id, prior_version, state, failure_reason, version,
        confirmed_at, cancelled_at, failed_at, refund_due, cancel_reason
    )
    WHERE b.show_id = ANY (ARRAY[new.show_id]) AND b.booking_id = new.booking_id
        AND b.version = new.prior_version
    RETURNING 1
), given AS (
    UPDATE booking.show_seats AS s
    SET booking_id = new.booking_id
    FROM unnest($21::uuid[], $22::integer[], $23::uuid[], $24::uuid[])
        AS new (show_id, ordinal, prior_booking_id, booking_id)
    WHERE s.show_id = ANY (ARRAY[new.show_id]) AND s.ordinal = new.ordinal
        AND s.booking_id IS NOT DISTINCT FROM new.prior_booking_id
    RETURNING 1
), logged AS (
    INSERT INTO booking.transitions (
        show_id, booking_id, version, verb, from_state, to_state, made_at, actor, request_id,
        fingerprint, prior
    )
    SELECT
        new.show_id, new.booking_id, new.version, new.verb::booking.verb,
        new.from_state::booking.booking_state, new.to_state::booking.booking_state,
        $33::timestamptz, 'booking-svc', new.request_id, new.fingerprint, new.prior::jsonb
    FROM unnest(
        $25::uuid[], $26::uuid[], $27::integer[], $28::text[], $29::text[], $30::text[],
        $31::uuid[], $32::bigint[], $39::text[]
    ) AS new (show_id, booking_id, version, verb, from_state, to_state, request_id, fingerprint, prior)
)
SELECT
    booking.expect_rows('bookings changed', (SELECT count(*) FROM changed), cardinality($13)),
    booking.expect_rows('seats given', (SELECT count(*) FROM given), cardinality($22)),
    -- A copy of what was refused is not granted. Often nothing was refused for a day.
    CASE WHEN EXISTS (SELECT FROM booking.refusals) AND EXISTS (
        SELECT
        FROM unnest($25::uuid[], $31::uuid[]) AS new (show_id, request_id)
        JOIN booking.refusals AS r
            ON r.show_id = ANY (ARRAY[new.show_id]) AND r.request_id = new.request_id
    ) THEN booking.refused_before() END
