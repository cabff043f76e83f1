-- Holds that ended within a minute, a minute ago, on every pair of the first $1 pairs of each
-- show, with what belongs to them. `pair` is named in the end of a hold so that each has its
-- own. Run without triggers: the inserted rows are valid.
WITH made AS (
    INSERT INTO booking.bookings (
        show_id, booking_id, state, version, customer_id, seat_ordinals, seat_prices,
        seat_tiers, total, currency, created_at, expires_at
    )
    SELECT
        s.show_id,
        encode(
            substr(uuid_send(s.show_id), 1, 6) || '\x8001'::bytea || '\x8000'::bytea
                || substr(int8send(pair + 1), 3, 6),
            'hex'
        )::uuid,
        'PENDING', 1, 'customer', ARRAY[pair * 2, pair * 2 + 1]::integer[], ARRAY[1250, 1250]::bigint[],
        ARRAY['General', 'General'], 2500, 'EUR', ends - interval '2 minutes', ends
    FROM booking.sales AS s, generate_series(0, $1::bigint - 1) AS pair,
        LATERAL (SELECT now() - interval '1 minute' - random() * interval '1 minute' + pair * interval '0' AS ends) AS hold
    RETURNING show_id, booking_id, seat_ordinals
), logged AS (
    INSERT INTO booking.transitions (
        show_id, booking_id, version, verb, to_state, made_at, actor, request_id, fingerprint
    )
    SELECT show_id, booking_id, 1, 'RESERVE', 'PENDING', now(), 'bench', gen_random_uuid(), 0
    FROM made
)
UPDATE booking.show_seats AS s
SET booking_id = made.booking_id
FROM made, unnest(made.seat_ordinals) AS held (ordinal)
WHERE s.show_id = made.show_id AND s.ordinal = held.ordinal
