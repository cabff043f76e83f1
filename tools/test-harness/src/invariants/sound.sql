-- A show with two seats and an area sold, a seat held, and two more of which one was cancelled and one lapsed.
UPDATE catalog.feed SET revision = 1;

INSERT INTO booking.sales (
    show_id, revision, state, start_at, layout, prices, seat_count, places_per_customer_max
)
VALUES ('01020304-0506-8000-8000-000000000000', 1, 'ON_SALE', now() + interval '1 day', '{}', '{}', 4, 3);

INSERT INTO booking.bookings (
    show_id, booking_id, state, failure_reason, version, customer_id, seat_ordinals, seat_prices,
    seat_tiers, areas, total, currency, created_at, expires_at, confirmed_at, cancelled_at,
    failed_at, cancel_reason, refund_due, payment_key, payment_state
)
SELECT
    '01020304-0506-8000-8000-000000000000', b.id::uuid, b.state::booking.booking_state,
    b.failure_reason::booking.failure_reason, b.version, 'ada', ARRAY[b.seat], '{5}', '{VIP}',
    b.areas::jsonb, b.total, 'EUR', now() - interval '1 minute', now() + b.ends, now() + b.confirmed,
    now() + b.cancelled, now() + b.failed, b.cancel_reason::booking.cancel_reason, b.refund_due,
    b.payment_key::uuid, b.payment_state::booking.payment_state
FROM (
    VALUES
        ('01020304-0506-8000-8000-000000000001', 'CONFIRMED', NULL, 3, 0,
            '[{"area": "Floor", "quantity": 2, "price": 3, "tier": "VIP"}]', 11, interval '9 min',
            interval '-30 s', NULL::interval, NULL::interval, NULL, NULL::bigint,
            '00000000-0000-8000-8000-00000000000a', 'CAPTURED'),
        ('01020304-0506-8000-8000-000000000002', 'CANCELLED', NULL, 4, 1, NULL, 5, '9 min', '-30 s', '-20 s',
            NULL, 'CUSTOMER', 5, '00000000-0000-8000-8000-00000000000b', 'CAPTURED'),
        ('01020304-0506-8000-8000-000000000003', 'FAILED', 'EXPIRED', 2, 2, NULL, 5, '-30 s', NULL, NULL,
            '-30 s', NULL, NULL, NULL, NULL),
        ('01020304-0506-8000-8000-000000000004', 'PENDING', NULL, 1, 3, NULL, 5, '9 min', NULL, NULL, NULL,
            NULL, NULL, NULL, NULL)
) AS b (
    id, state, failure_reason, version, seat, areas, total, ends, confirmed, cancelled, failed,
    cancel_reason, refund_due, payment_key, payment_state
);
UPDATE booking.bookings SET customer_id = 'bob' WHERE state = 'PENDING';

INSERT INTO booking.show_seats (show_id, ordinal, booking_id)
SELECT b.show_id, b.seat_ordinals[1], CASE WHEN b.state IN ('PENDING', 'CONFIRMED') THEN b.booking_id END
FROM booking.bookings AS b;

INSERT INTO booking.show_areas (show_id, area, capacity, taken)
VALUES ('01020304-0506-8000-8000-000000000000', 'Floor', 10, 2);

INSERT INTO booking.transitions (
    show_id, booking_id, version, verb, from_state, to_state, made_at, actor, request_id, fingerprint
)
SELECT
    b.show_id, b.booking_id, t.version, t.verb::booking.verb, t.from_state::booking.booking_state,
    t.to_state::booking.booking_state,
    CASE t.verb WHEN 'CONFIRM' THEN b.confirmed_at WHEN 'CANCEL' THEN b.cancelled_at ELSE b.created_at END,
    'test', gen_random_uuid(), 0
FROM booking.bookings AS b
JOIN (
    VALUES
        (1, 'RESERVE', NULL, 'PENDING', '{CONFIRMED, CANCELLED, FAILED, PENDING}'),
        (2, 'EXPIRE', 'PENDING', 'FAILED', '{FAILED}'),
        (2, 'PAY', 'PENDING', 'PENDING', '{CONFIRMED, CANCELLED}'),
        (3, 'CONFIRM', 'PENDING', 'CONFIRMED', '{CONFIRMED, CANCELLED}'),
        (4, 'CANCEL', 'CONFIRMED', 'CANCELLED', '{CANCELLED}')
) AS t (version, verb, from_state, to_state, of_states)
    ON b.state::text = ANY (t.of_states::text[]);

INSERT INTO booking.payments (
    show_id, payment_key, booking_id, state, amount, currency, started_at, deadline_at, settled_at, look_at
)
SELECT show_id, payment_key, booking_id, payment_state, total, currency, created_at, now(), now(), now()
FROM booking.bookings
WHERE payment_key IS NOT NULL;

INSERT INTO booking.refunds (show_id, payment_key, refund_key, booking_id, amount, owed_at, look_at)
SELECT show_id, payment_key, gen_random_uuid(), booking_id, refund_due, now(), now()
FROM booking.bookings
WHERE refund_due IS NOT NULL;
