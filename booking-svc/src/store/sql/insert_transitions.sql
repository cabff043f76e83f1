INSERT INTO booking.transitions (
    show_id, booking_id, version, verb, from_state, to_state, made_at, actor, request_id, fingerprint
)
SELECT
    new.show_id, new.booking_id, new.version, new.verb::booking.verb,
    new.from_state::booking.booking_state, new.to_state::booking.booking_state,
    $9::timestamptz, 'booking-svc', new.request_id, new.fingerprint
FROM unnest(
    $1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::bigint[]
) AS new (show_id, booking_id, version, verb, from_state, to_state, request_id, fingerprint)
