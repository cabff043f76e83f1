SELECT booking_id, version, verb::text, from_state::text, to_state::text, made_at, actor, request_id
FROM booking.transitions
WHERE show_id = $1 AND booking_id = $2 AND version > $3
ORDER BY version
LIMIT $4
