-- Shows of 1,000 seats and 1,000 old bookings each, $1 of them, with their logs, all like the show $2.
-- Run without triggers: the inserted rows are valid.
WITH shows AS (
    INSERT INTO booking.sales (
        show_id, revision, state, start_at, layout, numbering, prices, seat_count
    )
    SELECT
        encode(
            substr(uuid_send(gen_random_uuid()), 1, 6) || '\x8000'::bytea || '\x8000000000000000'::bytea,
            'hex'
        )::uuid,
        1000000000 + n, 'ON_SALE', now() + interval '1 year', model.layout, model.numbering,
        model.prices, model.seat_count
    FROM generate_series(1, $1::bigint) AS n, booking.sales AS model
    WHERE model.show_id = $2::text::uuid
    RETURNING show_id
), seats AS (
    INSERT INTO booking.show_seats (show_id, ordinal)
    SELECT show_id, ordinal FROM shows, generate_series(0, 999) AS ordinal
), bookings AS (
    INSERT INTO booking.bookings (
        show_id, booking_id, state, failure_reason, version, customer_id, seat_ordinals, seat_prices,
        seat_tiers, total, currency, created_at, expires_at, failed_at
    )
    SELECT
        show_id,
        encode(
            substr(uuid_send(show_id), 1, 6) || '\x8001'::bytea || '\x8000'::bytea
                || substr(int8send(n), 3, 6),
            'hex'
        )::uuid,
        'FAILED', 'EXPIRED', 2, 'customer-' || n, ARRAY[n - 1, n % 1000]::integer[],
        ARRAY[1250, 1250]::bigint[], ARRAY['General', 'General'], 2500, 'EUR',
        now() - interval '1 day', now() - interval '1 day' + interval '2 minutes',
        now() - interval '1 day' + interval '2 minutes'
    FROM shows, generate_series(1, 1000::bigint) AS n
    RETURNING show_id, booking_id, created_at, failed_at, seat_ordinals[1] AS place
), changes AS (
    SELECT
        show_id, booking_id, 1 AS version, 'RESERVE'::booking.verb AS verb,
        NULL::booking.booking_state AS from_state, 'PENDING'::booking.booking_state AS to_state,
        created_at AS made_at, place
    FROM bookings
    UNION ALL
    SELECT
        show_id, booking_id, 2, 'EXPIRE', 'PENDING'::booking.booking_state, 'FAILED', failed_at, place
    FROM bookings
)
INSERT INTO booking.transitions (
    show_id, booking_id, version, verb, from_state, to_state, made_at, actor, request_id, fingerprint
)
SELECT
    show_id, booking_id, version, verb, from_state, to_state, made_at, 'bench',
    -- UUIDs of version 7, like the load's: ids of the same time are stored together.
    encode(
        substr(int8send((extract(epoch FROM made_at) * 1000)::bigint + place), 3) || '\x7000'::bytea
            || substr(uuid_send(gen_random_uuid()), 9),
        'hex'
    )::uuid,
    0
FROM changes
