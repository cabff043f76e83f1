-- The log.
INSERT INTO booking.transitions (
    show_id, booking_id, version, verb, from_state, to_state, made_at, actor, request_id,
    fingerprint, prior
)
SELECT
    new.show_id, new.booking_id, new.version, new.verb::booking.verb,
    new.from_state::booking.booking_state, new.to_state::booking.booking_state,
    $7::timestamptz + CASE
        WHEN new.version = 1 THEN (SELECT later FROM made) ELSE (SELECT later FROM moment)
    END,
    -- One actor is that of all.
    coalesce(($12::text[])[new.ordinality], ($12::text[])[1]), new.request_id, new.fingerprint, new.prior::jsonb
FROM unnest($4::booking.new_transition[]) WITH ORDINALITY AS new
