INSERT INTO booking.transitions (
    show_id, booking_id, version, verb, from_state, to_state, made_at, actor, request_id, fingerprint
)
SELECT
    stale.show_id, stale.booking_id, stale.version + 1, 'EXPIRE', 'PENDING', 'FAILED',
    clock_timestamp(), 'expiry-worker', gen_random_uuid(), 0
FROM unnest($1::uuid[], $2::uuid[], $3::integer[]) AS stale (show_id, booking_id, version)
