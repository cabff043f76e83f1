-- By the primary key: an order by time would need another index, which every sale would have to
-- write.
SELECT booking_id, version, verb::text, from_state::text, to_state::text, made_at, actor, request_id
FROM booking.transitions
WHERE show_id = $1 AND (booking_id, version) > ($2, $3)
ORDER BY booking_id, version
LIMIT $4
